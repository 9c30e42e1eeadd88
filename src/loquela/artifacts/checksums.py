"""checksums.json of a published artifact: the SHA-256 of every file, for whoever has no Loquela to ask.

sha256sum is enough to check it by hand; `manifest.json` says more, and is written after it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import ValidationError

from loquela.artifacts.manifest import MANIFEST_NAME, FileRecord, corrupt
from loquela.core.atomic import write_json
from loquela.core.digests import digest_file
from loquela.core.model import BoundaryModel

CHECKSUMS_NAME = "checksums.json"
# Written after the checksums, so that neither can hold its own.
LAST = (CHECKSUMS_NAME, MANIFEST_NAME)


class Checksums(BoundaryModel):
    """`checksums.json`: path relative to the folder → SHA-256 in hexadecimal."""

    format_version: int = 1
    algorithm: str = "sha256"
    files: dict[str, str]


@dataclass(frozen=True)
class Integrity:
    """How the files of a folder differ from a record of them; paths relative to the folder."""

    changed: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    added: list[str] = field(default_factory=list)

    @property
    def whole(self) -> bool:
        """Whether nothing differs."""
        return not (self.changed or self.missing or self.added)

    def __str__(self) -> str:
        named = (("changed", self.changed), ("missing", self.missing), ("added", self.added))
        return "; ".join(f"{word}: {', '.join(paths)}" for word, paths in named if paths) or "as written"


def generate_file_checksum(path: Path) -> str:
    """SHA-256 of one file, in hexadecimal."""
    return digest_file(path)


def generate_artifact_checksum(directory: Path) -> dict[str, str]:
    """SHA-256 of every file of a folder but checksums.json and manifest.json, by path."""
    return {name: digest_file(directory / name) for name in _files(directory) if name not in LAST}


def write_checksums(directory: Path) -> None:
    """Write checksums.json over everything that is in the folder now; ResourceError when the file system refuses."""
    checksums = Checksums(files=generate_artifact_checksum(directory))
    write_json(directory / CHECKSUMS_NAME, checksums.model_dump(mode="json"))


def verify_artifact_integrity(directory: Path) -> Integrity:
    """The folder against its checksums.json; DataError(CORRUPTION) when that cannot be read."""
    try:
        recorded = Checksums.model_validate(json.loads((directory / CHECKSUMS_NAME).read_bytes()))
    except (OSError, ValueError, ValidationError) as error:
        raise corrupt(directory, f"{CHECKSUMS_NAME} cannot be read as the checksums of its files") from error
    return _difference(recorded.files, generate_artifact_checksum(directory))


def against_manifest(directory: Path, records: list[FileRecord]) -> Integrity:
    """The folder against the files of its manifest, every one of them read."""
    found = {name: digest_file(directory / name) for name in _files(directory) if name != MANIFEST_NAME}
    return _difference({record.path: record.sha256 for record in records}, found)


def _difference(recorded: dict[str, str], found: dict[str, str]) -> Integrity:
    return Integrity(
        changed=sorted(name for name in recorded.keys() & found.keys() if recorded[name] != found[name]),
        missing=sorted(recorded.keys() - found.keys()),
        added=sorted(found.keys() - recorded.keys()),
    )


def _files(directory: Path) -> list[str]:
    return sorted(path.relative_to(directory).as_posix() for path in directory.rglob("*") if path.is_file())
