"""A run's folder with everything in it, brought back from the store where it was cleaned."""

from __future__ import annotations

import shutil
from pathlib import Path

from loquela.artifacts.crash_points import crash_point
from loquela.artifacts.folders import remove_leftovers
from loquela.artifacts.store.opening import open_place
from loquela.artifacts.store.unpacking import UnpackLimits, unpack
from loquela.core.atomic import TEMPORARY_PREFIX, fsync_directory, write_error
from loquela.runs.stored.pointer import Pointer, hands_on, mark_used, read_pointer, write_pointer

# As long as somebody else may take to bring the same run back.
WAIT_SECONDS = 3600.0
ASIDE = TEMPORARY_PREFIX + "brought-back"


def local_model_folder(run_directory: Path) -> Path:
    """The run's folder, whole; where its heavy folders are in the store only they are fetched, proven and put back.

    It is not cleaned again before its grace period has passed anew. Whoever kills this leaves a run that is brought
    back the next time. Raises what the store raises, DataError(CORRUPTION) for another tarball than the pointer names,
    ResourceError (DISK_FULL, …) for an OSError.
    """
    pointer = read_pointer(run_directory)
    if pointer is None:
        return run_directory
    try:
        mark_used(run_directory)
    except OSError as error:
        raise write_error(error, run_directory) from error
    if pointer.cleaned:
        with hands_on(run_directory, wait_seconds=WAIT_SECONDS):
            again = read_pointer(run_directory)
            if again is not None and again.cleaned:
                _bring_back(run_directory, again)
    return run_directory


def _bring_back(run_directory: Path, pointer: Pointer) -> None:
    remove_leftovers(run_directory)
    store = open_place(pointer.store, run_directory.absolute().parents[1])
    aside = run_directory / ASIDE
    limits = UnpackLimits(pointer.size_bytes)
    unpack(store.read(pointer.file_id), aside, sha256=pointer.file_id, limits=limits)
    try:
        for found in sorted(aside.iterdir()):
            # What stayed here is what was packed, or is newer.
            if not (run_directory / found.name).exists():
                found.rename(run_directory / found.name)
                crash_point("bringing_back")
        fsync_directory(run_directory)
    except OSError as error:
        raise write_error(error, run_directory) from error
    write_pointer(run_directory, pointer.model_copy(update={"cleaned": False}))
    shutil.rmtree(aside, ignore_errors=True)
