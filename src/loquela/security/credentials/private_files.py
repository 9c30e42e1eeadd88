"""Files that only their owner can read, or nobody uses them."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from loquela.core.atomic import write_error
from loquela.core.errors import ErrorCode, ResourceError

OTHERS = 0o077


def config_directory() -> Path:
    """The user's own folder for Loquela: $XDG_CONFIG_HOME/loquela, else ~/.config/loquela."""
    base = os.environ.get("XDG_CONFIG_HOME")
    return (Path(base) if base else Path.home() / ".config") / "loquela"


def make_private_directory(directory: Path) -> None:
    """Make the folder, for its owner alone, if it is not there."""
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise write_error(error, directory) from error


def make_private_file(path: Path) -> None:
    """Make an empty file, for its owner alone, if it is not there."""
    try:
        os.close(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_NOFOLLOW, 0o600))
    except OSError as error:
        raise write_error(error, path) from error


def require_private(path: Path) -> None:
    """ResourceError(AUTH_FAILED) unless `path` is a plain file of this user that nobody else can read or write."""
    found = path.lstat()
    if not stat.S_ISREG(found.st_mode):
        raise _refused(path, "is no plain file", f"move it away: mv {path} {path}.old")
    if found.st_uid != os.geteuid():
        raise _refused(path, f"belongs to another user (uid {found.st_uid})", f"own it: chown $(id -u) {path}")
    if found.st_mode & OTHERS:
        mode = stat.S_IMODE(found.st_mode)
        raise _refused(path, f"can be read by others (mode {mode:04o})", f"close it: chmod 600 {path}")


def _refused(path: Path, what: str, remedy: str) -> ResourceError:
    return ResourceError(
        ErrorCode.AUTH_FAILED,
        f"{path} holds secrets and {what}; it is not used",
        remedy,
        details={"path": str(path)},
    )
