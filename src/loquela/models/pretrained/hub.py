"""A base on the hub: its commit found, its safe files fetched into the hub's own cache and proven.

    organisation/model ─ commit ─ list of files ─ config.json first ─ safetensors, tokenizer ─ SHA-256 ─▶ folder

HF_TOKEN, HF_ENDPOINT, HF_HUB_CACHE, HF_HOME and HF_HUB_OFFLINE are honoured. Pickles and code are never fetched. A
file that was fetched whole is kept: after an interruption only the rest is fetched.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Protocol

from pydantic import JsonValue

from loquela.artifacts.base import BaseIdentity
from loquela.core.errors import ErrorCode
from loquela.core.extras import require
from loquela.models.pretrained.failures import unusable
from loquela.models.pretrained.folder_files import (
    CODE,
    CONFIG_NAME,
    INDEX_NAME,
    NEEDED,
    NO_CODE,
    OPTIONAL,
    PICKLES,
    TOKENIZER_CONFIG_NAME,
    WEIGHTS_NAME,
    optional_json,
    read_json,
    weight_names,
)
from loquela.models.pretrained.hub_failures import hub_failures
from loquela.models.pretrained.identify import identify
from loquela.models.pretrained.shapes import architecture_of

LIST_TIMEOUT_SECONDS = 30.0
WORKERS = 4
SHA256 = re.compile(r"[0-9a-f]{64}")
COMMIT = re.compile(r"[0-9a-f]{40}")


class _Lfs(Protocol):
    sha256: str


class _Sibling(Protocol):
    rfilename: str
    size: int | None
    lfs: _Lfs | None


class _ModelInfo(Protocol):
    sha: str
    siblings: Sequence[_Sibling]


@dataclass(frozen=True)
class HubListing:
    """The files of a model at a commit: name → size in bytes (None: not said) and SHA-256 (None: small, not said)."""

    name: str
    commit: str
    files: Mapping[str, tuple[int | None, str | None]]


def list_model(name: str, revision: str | None) -> HubListing:
    """What the hub has of `name` at `revision` (null: its newest commit).

    Raises DataError(DATA_NOT_FOUND), ResourceError (AUTH_FAILED, TIMEOUT, NETWORK_ERROR, MISSING_EXTRA).
    """
    library = _library()
    with hub_failures(name, revision), _silent(library):
        api = library.HfApi(endpoint=endpoint())
        info: _ModelInfo = api.model_info(name, revision=revision, files_metadata=True, timeout=LIST_TIMEOUT_SECONDS)
        files = {
            sibling.rfilename: (sibling.size, None if sibling.lfs is None else sibling.lfs.sha256)
            for sibling in info.siblings
        }
    return HubListing(name, info.sha, files)


def commit_of(name: str, revision: str | None) -> str:
    """The commit that `revision` is now; offline, the one that the cache has; errors as of `list_model`."""
    if revision is not None and COMMIT.fullmatch(revision):
        return revision
    return _cached(name, revision).name if offline() else list_model(name, revision).commit


def fetch_config(name: str, revision: str | None) -> dict[str, JsonValue]:
    """config.json alone, as a plan needs it; errors as of `list_model`, DataError(CORRUPTION) for no JSON object."""
    if offline():
        return read_json(_cached(name, revision) / CONFIG_NAME)
    listing = list_model(name, revision)
    check_names(listing)
    return read_json(_download(listing, [CONFIG_NAME]) / CONFIG_NAME)


def fetch(name: str, commit: str, source: str) -> BaseIdentity:
    """The model at `commit`, fetched where it is not in the cache yet, and identified; its location is the cache.

    Raises what `list_model` and `identify` do, and DataError(CORRUPTION) for a file that is not the hub's.
    """
    if offline():
        folder = _cached(name, commit)
        return _proven(folder, source, commit, _by_blob_names(folder))
    listing = list_model(name, commit)
    check_names(listing)
    small = [file for file in (*NEEDED, *OPTIONAL, INDEX_NAME) if file in listing.files]
    folder = _download(listing, small)
    architecture_of(name, read_json(folder / CONFIG_NAME))
    for file in (CONFIG_NAME, TOKENIZER_CONFIG_NAME):
        if "auto_map" in optional_json(folder / file):
            raise unusable(name, f"its {file} asks for code of its own (auto_map), which is never run", NO_CODE)
    weights = [WEIGHTS_NAME] if WEIGHTS_NAME in listing.files else weight_names(folder)
    absent = [file for file in weights if file not in listing.files]
    if absent:
        raise unusable(name, f"{INDEX_NAME} names {absent[0]}, which the hub does not have")
    _download(listing, [*small, *weights])
    sums = {file: sha256 for file, (_, sha256) in listing.files.items() if sha256 is not None}
    return _proven(folder, source, commit, sums)


def check_names(listing: HubListing) -> None:
    """DataError(PRETRAINED_LOAD_FAILED) where there is no configuration, no safetensors, or code beside them."""
    code = sorted(file for file in listing.files if CODE.fullmatch(file) or file.startswith("custom_generate/"))
    if code:
        raise unusable(listing.name, f"it comes with code of its own ({code[0]}), which is never run", NO_CODE)
    for needed in NEEDED:
        if needed not in listing.files:
            raise unusable(listing.name, f"it has no {needed} on the hub", "choose a model that has one")
    if WEIGHTS_NAME not in listing.files and INDEX_NAME not in listing.files:
        pickled = sorted(file for file in listing.files if Path(file).suffix in PICKLES)
        why = f"only pickled ones ({pickled[0]}), and a pickle can run any code" if pickled else "none at all"
        raise unusable(listing.name, f"it has no safetensors weights on the hub, {why}", "choose a model that has them")


def endpoint() -> str | None:
    """Where the hub is, when it is not where the library thinks."""
    return os.environ.get("HF_ENDPOINT", "").rstrip("/") or None


def offline() -> bool:
    """Whether nothing may be fetched."""
    wish = os.environ.get("HF_HUB_OFFLINE") or os.environ.get("TRANSFORMERS_OFFLINE") or ""
    return wish.upper() in ("1", "ON", "YES", "TRUE")


def _library() -> ModuleType:
    return require("huggingface_hub", extra="finetune", purpose="fetching a base from the hub")


def _cache() -> str | None:
    """The hub's cache, when it is not where the library thinks."""
    if there := os.environ.get("HF_HUB_CACHE"):
        return there
    home = os.environ.get("HF_HOME")
    return str(Path(home) / "hub") if home else None


def _cached(name: str, revision: str | None) -> Path:
    """The cache's folder of a model; DataError(DATA_NOT_FOUND) when it is not there."""
    found: str | object | None = _library().try_to_load_from_cache(
        name, CONFIG_NAME, cache_dir=_cache(), revision=revision
    )
    if not isinstance(found, str):
        raise unusable(
            name,
            f"the hub's cache does not have it{f' at {revision}' if revision else ''}, and HF_HUB_OFFLINE is set",
            "unset HF_HUB_OFFLINE once, so that it can be fetched",
            ErrorCode.DATA_NOT_FOUND,
        )
    return Path(found).parent


def _download(listing: HubListing, files: Sequence[str]) -> Path:
    library = _library()
    with hub_failures(listing.name, listing.commit), _silent(library):
        folder: str = library.snapshot_download(
            listing.name,
            revision=listing.commit,
            cache_dir=_cache(),
            endpoint=endpoint(),
            allow_patterns=list(files),
            max_workers=WORKERS,
        )
    return Path(folder)


def _proven(folder: Path, source: str, commit: str, sums: Mapping[str, str]) -> BaseIdentity:
    """The identity of what was fetched, every sum that the hub gives compared."""
    identity = identify(folder, source=source, kind="hub", revision=commit, links_within=folder.parent.parent)
    for name, record in identity.files.items():
        if name in sums and sums[name] != record.sha256:
            broken = (folder / name).resolve()
            raise unusable(
                folder,
                f"the SHA-256 of {name} is not the one that the hub has",
                f"delete {broken} and run the same command again",
                ErrorCode.CORRUPTION,
            )
    return identity


def _by_blob_names(folder: Path) -> dict[str, str]:
    """Large files lie in the cache under their SHA-256."""
    targets = {path.name: path.resolve().name for path in folder.iterdir() if path.is_symlink()}
    return {name: target for name, target in targets.items() if SHA256.fullmatch(target)}


@contextmanager
def _silent(library: ModuleType) -> Iterator[None]:
    """The library draws on the terminal, and writes addresses with signatures into its log."""
    drawn = not library.utils.are_progress_bars_disabled()
    verbosity: int = library.utils.logging.get_verbosity()
    library.utils.disable_progress_bars()
    library.utils.logging.set_verbosity(logging.CRITICAL)
    try:
        yield
    finally:
        library.utils.logging.set_verbosity(verbosity)
        if drawn:
            library.utils.enable_progress_bars()
