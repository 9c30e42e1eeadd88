"""A run's trees into a store: packed, put, read back; only then does anybody hear of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from loquela.artifacts.store.contract import ArtifactStore, prove
from loquela.artifacts.store.packing import Tarball, Tree, measured, pieces_of, proven
from loquela.artifacts.store.places import StorePlace
from loquela.core.errors import ErrorCode, ResourceError
from loquela.runs.lock import is_locked
from loquela.runs.stored.pointer import Pointer, hands_on, read_pointer, write_pointer
from loquela.runs.stored.trees import ArtifactKind, parts_of


@dataclass(frozen=True)
class StoredPart:
    """A tarball that lies in the store, proven."""

    kind: ArtifactKind
    subject: str
    tarball: Tarball


def store_run(run_directory: Path, store: ArtifactStore, place: StorePlace, *, at: float) -> list[StoredPart]:
    """Store everything that `parts_of` names; the run itself comes first. Doing it again changes nothing.

    Raises ResourceError(RUN_LOCKED) while somebody works on the run, DataError(DATA_CHANGED) where a file changed
    meanwhile, what reading and the store raise.
    """
    with hands_on(run_directory):
        pointer = read_pointer(run_directory)
        if is_locked(run_directory) or (pointer is not None and pointer.cleaned):
            raise ResourceError(
                ErrorCode.RUN_LOCKED,
                f"{run_directory.name} is being worked on, or not here as a whole",
                "it is stored as soon as that has ended",
                retryable=True,
            )
        parts = list(parts_of(run_directory))
        stored = [StoredPart(part.kind, part.subject, kept(part.tree, store)) for part in parts]
        whole = stored[0].tarball
        write_pointer(
            run_directory,
            Pointer(
                run_id=run_directory.name,
                file_id=whole.sha256,
                size_bytes=whole.size_bytes,
                files=whole.files,
                store=place,
                stored_at=at,
                left_out=parts[0].tree.left_out,
            ),
        )
        return stored


def kept(tree: Tree, store: ArtifactStore) -> Tarball:
    """A tree in the store, read back and proven; one that is there already is only proven."""
    tarball = measured(tree)
    if store.size(tarball.sha256) != tarball.size_bytes:
        store.put(tarball.sha256, tarball.size_bytes, proven(pieces_of(tree), tarball.sha256))
    prove(store, tarball.sha256, tarball.size_bytes)
    return tarball
