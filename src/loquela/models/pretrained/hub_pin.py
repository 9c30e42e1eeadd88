"""The commit that a base on the hub is kept to: the recipe's, else the one of earlier runs, else the newest."""

from __future__ import annotations

from pathlib import Path

from loquela.artifacts.base import BASE_NAME, KIND, read_base
from loquela.core.errors import DataError
from loquela.models.pretrained.hub import commit_of


def pinned_commit(name: str, revision: str | None, output_directory: Path) -> str:
    """The commit to use; a null `revision` is resolved once and kept to below `output_directory`.

    Errors as of `list_model`.
    """
    if revision is not None:
        return commit_of(name, revision)
    return _recorded(name, output_directory) or commit_of(name, None)


def _recorded(name: str, output_directory: Path) -> str | None:
    """The commit of the newest artifact made of `name`."""
    folders = [path.parent for path in (output_directory.expanduser() / "artifacts" / KIND).glob(f"*/{BASE_NAME}")]
    for folder in sorted(folders, key=lambda each: each.stat().st_mtime, reverse=True):
        try:
            identity = read_base(folder)
        except DataError:
            continue  # a damaged record decides nothing; the stage makes it anew
        if identity.kind == "hub" and identity.source == name and identity.revision is not None:
            return identity.revision
    return None
