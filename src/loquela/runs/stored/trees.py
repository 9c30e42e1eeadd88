"""What of a run is packed: all of it for the run itself, single folders for those who want only the model."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from loquela.artifacts.bundle import is_bundle
from loquela.artifacts.store.packing import Tree, tree_of
from loquela.core.atomic import TEMPORARY_PREFIX
from loquela.runs.lock import LOCK_NAME
from loquela.runs.stored.pointer import HANDS_NAME, POINTER_NAME

ArtifactKind = Literal["run", "model", "tokenizer", "evaluation", "export"]
KINDS: tuple[ArtifactKind, ...] = get_args(ArtifactKind)
# Of these the first that is there is what a run was made for.
MODELS = ("final_artifact", "merged", "final", "adapter")
ALONE: tuple[tuple[ArtifactKind, str], ...] = (("tokenizer", "tokenizer"), ("evaluation", "eval"))
EXPORTS = "exports"
MANIFEST = "manifest.json"
# They are about the folder itself, and change when nothing of the run does.
OWN = (LOCK_NAME, POINTER_NAME, HANDS_NAME)


@dataclass(frozen=True)
class Part:
    """A tree to be stored; `subject` is the id of its run, with the name of the bundle behind it for an export."""

    kind: ArtifactKind
    subject: str
    tree: Tree


def run_tree(run_directory: Path) -> Tree:
    """Everything that a run has written; errors as `tree_of`."""
    return tree_of(run_directory, _left_out)


def parts_of(run_directory: Path) -> Iterator[Part]:
    """The run, and what of it is also stored alone; errors as `tree_of`."""
    run_id = run_directory.name
    yield Part("run", run_id, run_tree(run_directory))
    model = next((run_directory / name for name in MODELS if (run_directory / name / MANIFEST).is_file()), None)
    if model is not None:
        yield Part("model", run_id, tree_of(model))
    for kind, name in ALONE:
        if (run_directory / name / MANIFEST).is_file():
            yield Part(kind, run_id, tree_of(run_directory / name))
    for bundle in sorted((run_directory / EXPORTS).glob("*")):
        if is_bundle(bundle) and (bundle / MANIFEST).is_file():
            yield Part("export", f"{run_id}.{bundle.name}", tree_of(bundle))


def _left_out(name: str) -> bool:
    last = name.rpartition("/")[2]
    return name in OWN or last.startswith(TEMPORARY_PREFIX)
