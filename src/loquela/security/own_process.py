"""What a process that holds keys and other people's texts leaves where others could find it: nothing."""

from __future__ import annotations

import os
import resource

OTHERS = 0o077


def keep_private() -> None:
    """From now on, new files are for their owner alone, and a crash writes no memory to disk.

    Processes that are started later inherit both.
    """
    os.umask(OTHERS)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
