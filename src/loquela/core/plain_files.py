"""Files that lie where their name says: no link at the end of a path is followed, and no pipe is waited for."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import BinaryIO


def read_plain(path: Path) -> bytes:
    """All of `path`; errors as `open_plain`."""
    with open_plain(path) as stream:
        return stream.read()


def open_plain(path: Path) -> BinaryIO:
    """`path` for reading; OSError as `open`, and with ELOOP for what is no regular file itself."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.ELOOP, "it is no plain file", str(path))
    return os.fdopen(descriptor, "rb")
