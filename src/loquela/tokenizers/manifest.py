"""tokenizer_manifest.json: what a tokenizer is, what it was made with, how it did on held-out text."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from loquela.artifacts.manifest import FileRecord
from loquela.core.atomic import write_text
from loquela.core.digests import digest_file
from loquela.core.model import BoundaryModel
from loquela.tokenizers.contract import TokenizerConfig, TokenizerStats
from loquela.tokenizers.failures import corrupt_file, read_file

TOKENIZER_MANIFEST_NAME = "tokenizer_manifest.json"


class TokenizerManifest(BoundaryModel):
    """Everything but times and places, so that the same text and settings give the same bytes."""

    format_version: Literal[1] = 1
    method: str
    origin: Literal["trained", "loaded"]
    source: str | None = None
    config: TokenizerConfig
    files: list[FileRecord]
    vocabulary_digest: str
    special_ids: dict[str, int]
    libraries: dict[str, str]
    statistics: TokenizerStats


def write_tokenizer_manifest(directory: Path, manifest: TokenizerManifest) -> None:
    """Write it next to the tokenizer."""
    write_text(directory / TOKENIZER_MANIFEST_NAME, manifest.model_dump_json(indent=2) + "\n")


def read_tokenizer_manifest(directory: Path) -> TokenizerManifest | None:
    """The manifest in `directory`, None when there is none; DataError(CORRUPTION) when it cannot be read."""
    path = directory / TOKENIZER_MANIFEST_NAME
    if not path.is_file():
        return None
    try:
        return TokenizerManifest.model_validate_json(read_file(path, "tokenizer manifest"))
    except ValidationError as error:
        raise corrupt_file(path, "it is not a tokenizer manifest") from error


def record_files(directory: Path, names: list[str]) -> list[FileRecord]:
    """Size and digest of each named file."""
    return [
        FileRecord(path=name, size_bytes=(directory / name).stat().st_size, sha256=digest_file(directory / name))
        for name in names
    ]


def check_files(directory: Path, files: list[FileRecord]) -> None:
    """DataError(CORRUPTION) for the first file that is not what the manifest says."""
    for record in files:
        path = directory / record.path
        if not path.is_file():
            raise corrupt_file(path, "it is missing, though the manifest lists it")
        if path.stat().st_size != record.size_bytes:
            size = path.stat().st_size
            raise corrupt_file(path, f"it has {size} bytes, the manifest says {record.size_bytes}")
        if digest_file(path) != record.sha256:
            raise corrupt_file(path, "its SHA-256 is not the one in the manifest")
