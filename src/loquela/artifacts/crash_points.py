"""Named moments at which a test may kill the process, so that crash safety is proven where it is hardest.

Only the crash tests use this: with `LOQUELA_CRASH_AT=name:count` in the environment, the count-th passage of
the point `name` (from 1) sends SIGKILL to this process: no handler, no clean-up, as when the power goes.
Without the variable a point costs one dictionary look-up.
"""

from __future__ import annotations

import os
import signal
from collections import Counter

VARIABLE = "LOQUELA_CRASH_AT"
POINTS = (
    "before_folder",
    "after_tensors",
    "before_manifest",
    "before_rename",
    "after_rename",
    "before_swap",
    "during_swap",
    "after_swap",
    "before_retention",
    "during_removal",
)

_passed: Counter[str] = Counter()


def crash_point(name: str) -> None:
    """Die here when a test asked for it."""
    wanted = os.environ.get(VARIABLE)
    if wanted is None:
        return
    point, _, count = wanted.partition(":")
    if point != name:
        return
    _passed[name] += 1
    if _passed[name] == int(count or "1"):
        os.kill(os.getpid(), signal.SIGKILL)
