"""A stored run's heavy folders go: proven once more on both sides, and in an order that a kill cannot break.

The pointer says that they are gone before the first one goes; who needs them from then on brings them back.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from loquela.artifacts.crash_points import crash_point
from loquela.artifacts.folders import remove_folder, remove_leftovers
from loquela.artifacts.store.contract import ArtifactStore, prove
from loquela.artifacts.store.packing import Tree, measured
from loquela.core.atomic import fsync_directory
from loquela.core.errors import ErrorCode, ProofError
from loquela.runs.lock import RunLock
from loquela.runs.status import Phase, load_status
from loquela.runs.stored.pointer import hands_on, read_pointer, write_pointer
from loquela.runs.stored.trees import run_tree

# Small, and asked for long after: records in the run's own folder stay as well.
KEPT = ("logs", "eval", "evaluations", "checks")


@dataclass(frozen=True)
class Cleaned:
    """What went, or would go."""

    bytes_freed: int
    files_deleted: int


def clean_run(run_directory: Path, store: ArtifactStore, *, dry_run: bool) -> Cleaned:
    """Remove what a complete run has in the store as well; its records stay, and its reports.

    Raises ProofError(VALIDATION_FAILED) for a run that is not stored as it is now or is not complete, ResourceError
    (RUN_LOCKED) while somebody works on it, what reading it back raises. Then nothing was removed.
    """
    with RunLock(run_directory), hands_on(run_directory):
        remove_leftovers(run_directory)
        tree = run_tree(run_directory)
        pointer = read_pointer(run_directory)
        if pointer is None:
            raise _refused(run_directory, "it was never stored")
        if load_status(run_directory).current_phase is not Phase.COMPLETE:
            raise _refused(run_directory, "it is not complete and can be resumed from its checkpoints")
        if not pointer.cleaned and measured(tree).sha256 != pointer.file_id:
            raise _refused(run_directory, "it is not as it was when it was stored")
        prove(store, pointer.file_id, pointer.size_bytes)
        goes = _heavy(tree)
        if not dry_run:
            write_pointer(run_directory, pointer.model_copy(update={"cleaned": True}))
            crash_point("before_cleaning")
            _remove(run_directory)
        return goes


def _heavy(tree: Tree) -> Cleaned:
    files = [member for member in tree.members if not member.folder and _goes(member.name)]
    return Cleaned(sum(member.size for member in files), len(files))


def _goes(name: str) -> bool:
    top, slash, _ = name.partition("/")
    return bool(slash) and top not in KEPT


def _remove(run_directory: Path) -> None:
    for folder in sorted(run_directory.iterdir()):
        if folder.is_dir() and not folder.is_symlink() and folder.name not in KEPT:
            remove_folder(folder)
            crash_point("cleaning")
    fsync_directory(run_directory)


def _refused(run_directory: Path, why: str) -> ProofError:
    return ProofError(
        ErrorCode.VALIDATION_FAILED,
        f"nothing of {run_directory.name} is removed: {why}",
        "nothing: it is looked at again after it was stored",
    )
