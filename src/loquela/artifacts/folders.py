"""Folders that are either whole or absent, and that are replaced without a moment of absence.

A folder is filled under a temporary name beside its place, every file is fsynced, then it is renamed. Where
something stands already, the two change places in one system call (Linux: renameat2 with RENAME_EXCHANGE), so
that a reader finds the old one or the new one, never none. File systems that cannot exchange get two renames,
and `heal_folder` mends the moment between them at the next start.
"""

from __future__ import annotations

import ctypes
import errno
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from loquela.artifacts.crash_points import crash_point
from loquela.core.atomic import TEMPORARY_PREFIX, fsync_directory, write_error

OLD_PREFIX = ".old-"
AT_FDCWD = -100
RENAME_EXCHANGE = 2
CANNOT_EXCHANGE = (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EPERM)


@contextmanager
def whole_folder(place: Path) -> Iterator[Path]:
    """Yield an empty temporary folder; on success it stands at `place`, on failure nothing has changed.

    Raises ResourceError (DISK_FULL, WRITE_PERMISSION, WRITE_FAILED) for an OSError.
    """
    temporary = place.parent / f"{TEMPORARY_PREFIX}{place.name}-{os.getpid()}"
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir()
        yield temporary
        fsync_files(temporary)
        put_in_place(temporary, place)
    except OSError as error:
        shutil.rmtree(temporary, ignore_errors=True)
        raise write_error(error, place) from error
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise


def fsync_files(directory: Path) -> None:
    """Make every file and folder below `directory` survive a power cut."""
    for path in sorted(directory.rglob("*")):
        if path.is_file():
            with path.open("rb") as stream:
                os.fsync(stream.fileno())
        else:
            fsync_directory(path)
    fsync_directory(directory)


def put_in_place(temporary: Path, place: Path) -> None:
    """Rename `temporary` to `place`; what stood there is removed after the exchange."""
    crash_point("before_rename")
    if place.exists():
        crash_point("before_swap")
        _exchange(temporary, place)
        crash_point("after_swap")
        fsync_directory(place.parent)
        shutil.rmtree(temporary, ignore_errors=True)
    else:
        temporary.rename(place)
        fsync_directory(place.parent)
    crash_point("after_rename")


def remove_folder(directory: Path) -> None:
    """Remove a folder so that no half of it is ever seen under its name."""
    going = directory.parent / f"{TEMPORARY_PREFIX}removed-{directory.name}-{os.getpid()}"
    shutil.rmtree(going, ignore_errors=True)
    try:
        directory.rename(going)
        crash_point("during_removal")
        shutil.rmtree(going)
    except OSError as error:
        raise write_error(error, directory) from error


def heal_folder(place: Path) -> None:
    """Finish or undo a replacement that a crash cut between its two renames."""
    old = place.parent / (OLD_PREFIX + place.name)
    if not old.exists():
        return
    if place.exists():
        shutil.rmtree(old, ignore_errors=True)
    else:
        old.rename(place)


def remove_leftovers(parent: Path) -> None:
    """Remove temporary folders and files of processes that died; only the holder of the run's lock may."""
    if not parent.is_dir():
        return
    for path in parent.glob(TEMPORARY_PREFIX + "*"):
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def remove_abandoned(place: Path) -> None:
    """Remove what making `place` left whose process died before it could."""
    for path in place.parent.glob(f"{TEMPORARY_PREFIX}{place.name}-*"):
        owner = path.name.rpartition("-")[2]
        if owner.isdigit() and int(owner) != os.getpid() and not psutil.pid_exists(int(owner)):
            remove_folder(path)


def _exchange(temporary: Path, place: Path) -> None:
    """Let the two folders change names; afterwards `temporary` holds what stood at `place`, or is gone."""
    if _exchange_at_once(temporary, place):
        return
    old = place.parent / (OLD_PREFIX + place.name)
    shutil.rmtree(old, ignore_errors=True)
    place.rename(old)
    crash_point("during_swap")
    temporary.rename(place)
    shutil.rmtree(old, ignore_errors=True)


def _exchange_at_once(left: Path, right: Path) -> bool:
    """renameat2(RENAME_EXCHANGE); False where the system or file system has no such call."""
    if not sys.platform.startswith("linux"):
        return False
    library = ctypes.CDLL(None, use_errno=True)
    if not hasattr(library, "renameat2"):
        return False
    done = library.renameat2(AT_FDCWD, os.fsencode(left), AT_FDCWD, os.fsencode(right), ctypes.c_uint(RENAME_EXCHANGE))
    if done == 0:
        return True
    number = ctypes.get_errno()
    if number in CANNOT_EXCHANGE:
        return False
    raise OSError(number, os.strerror(number), str(right))
