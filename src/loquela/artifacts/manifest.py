"""The immutable record of what an artifact was made from, and the proof that it is still whole."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from pydantic import Field, JsonValue, ValidationError

from loquela.core.atomic import write_json
from loquela.core.digests import digest_file, digest_json
from loquela.core.errors import DataError, ErrorCode
from loquela.core.model import BoundaryModel

MANIFEST_NAME = "manifest.json"


class FileRecord(BoundaryModel):
    """Size and SHA-256 of one file, by its path relative to the artifact's folder."""

    path: str
    size_bytes: int
    sha256: str


class Manifest(BoundaryModel):
    """What an artifact is: kind, files, settings it was made with, parents it was made from, facts about it.

    `digest` identifies the content: SHA-256 over kind, files and facts, not over times or places. `record_digest`
    proves this record itself: SHA-256 over every other field.
    """

    format_version: int = 1
    kind: str
    created: datetime = Field(default_factory=lambda: datetime.now(UTC))
    files: list[FileRecord]
    settings: dict[str, JsonValue] = Field(default_factory=dict)
    parents: dict[str, str] = Field(default_factory=dict, description="role → digest of the artifact it was made from")
    facts: dict[str, JsonValue] = Field(default_factory=dict, description="counts and statistics")
    digest: str = ""
    record_digest: str = ""

    def content_digest(self) -> str:
        """What `digest` must be."""
        files: JsonValue = [record.model_dump(mode="json") for record in self.files]
        return digest_json({"kind": self.kind, "files": files, "facts": self.facts})

    def own_digest(self) -> str:
        """What `record_digest` must be."""
        return digest_json(self.model_dump(mode="json", exclude={"record_digest"}))


def write_manifest(
    directory: Path,
    kind: str,
    *,
    settings: dict[str, JsonValue] | None = None,
    parents: dict[str, str] | None = None,
    facts: dict[str, JsonValue] | None = None,
) -> Manifest:
    """Hash every file in `directory` and write its manifest, last; from now on the artifact exists."""
    files = [
        FileRecord(
            path=path.relative_to(directory).as_posix(), size_bytes=path.stat().st_size, sha256=digest_file(path)
        )
        for path in sorted(directory.rglob("*"))
        if path.is_file() and path.name != MANIFEST_NAME
    ]
    manifest = Manifest(kind=kind, files=files, settings=settings or {}, parents=parents or {}, facts=facts or {})
    manifest.digest = manifest.content_digest()
    manifest.record_digest = manifest.own_digest()
    write_json(directory / MANIFEST_NAME, manifest.model_dump(mode="json"))
    return manifest


def read_manifest(directory: Path, kind: str | None = None) -> Manifest:
    """Read a manifest without hashing the files; DataError(DATASET_NOT_FOUND or CORRUPTION) when there is none."""
    path = directory / MANIFEST_NAME
    try:
        manifest = Manifest.model_validate_json(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError) as error:
        raise DataError(
            ErrorCode.DATASET_NOT_FOUND,
            f"no {kind or 'artifact'} in {directory}: it has no {MANIFEST_NAME}",
            "run the stage that makes it, or give the folder that holds it",
            details={"path": str(directory)},
        ) from error
    except ValidationError as error:
        raise corrupt(directory, f"{MANIFEST_NAME} cannot be read as a manifest") from error
    if kind is not None and manifest.kind != kind:
        raise DataError(
            ErrorCode.DATASET_NOT_FOUND,
            f"{directory} holds a {manifest.kind}, not a {kind}",
            f"give a folder that holds a {kind}",
            details={"path": str(directory)},
        )
    return manifest


def verify(directory: Path, kind: str | None = None) -> Manifest:
    """Prove the manifest by its own digests and every file by size and SHA-256.

    DataError(CORRUPTION) names the first that fails.
    """
    manifest = read_manifest(directory, kind)
    if manifest.digest != manifest.content_digest() or manifest.record_digest != manifest.own_digest():
        raise corrupt(directory, f"{MANIFEST_NAME} is not as it was written, its own digest says")
    for record in manifest.files:
        path = directory / record.path
        if not path.is_file():
            raise corrupt(directory, f"{record.path} is missing")
        size = path.stat().st_size
        if size != record.size_bytes:
            raise corrupt(directory, f"{record.path} has {size} bytes, the manifest says {record.size_bytes}")
        if digest_file(path) != record.sha256:
            raise corrupt(directory, f"the SHA-256 of {record.path} is not the one in the manifest")
    return manifest


def corrupt(directory: Path, what: str) -> DataError:
    """The error for an artifact that is not what its manifest says."""
    return DataError(
        ErrorCode.CORRUPTION,
        f"{directory} is damaged: {what}",
        "delete that folder and run the same command again; the stage that makes it will run anew",
        details={"path": str(directory)},
    )
