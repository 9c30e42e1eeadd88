"""The last word of a run: size and SHA-256 of its records, written when it ends in order, gone while it is worked on.

Weights, tokenizer and report have manifests of their own; the seal vouches for what lies beside them: recipe,
status, manifest, ledger, metrics, events, logs.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from pydantic import Field, ValidationError

from loquela.artifacts.manifest import FileRecord
from loquela.artifacts.proof import Proof
from loquela.core.atomic import TEMPORARY_PREFIX, write_error, write_text
from loquela.core.digests import digest_file, digest_json
from loquela.core.errors import ErrorCode
from loquela.core.model import BoundaryModel
from loquela.runs.lock import LOCK_NAME

SEAL_NAME = "seal.json"
LOGS_NAME = "logs"
REMEDY = "restore that file from a copy, or run the recipe again"


class Seal(BoundaryModel):
    """`seal.json`; `digest` is that of every other field."""

    format_version: int = 1
    created: datetime = Field(default_factory=lambda: datetime.now(UTC))
    files: list[FileRecord]
    digest: str = ""

    def own_digest(self) -> str:
        """What `digest` must be."""
        return digest_json(self.model_dump(mode="json", exclude={"digest"}))


def write_seal(run_directory: Path) -> None:
    """Hash the records of a run; nothing may be written to them afterwards but by `break_seal` first."""
    found = [*run_directory.iterdir(), *(run_directory / LOGS_NAME).iterdir()]
    seal = Seal(
        files=[
            FileRecord(
                path=path.relative_to(run_directory).as_posix(),
                size_bytes=path.stat().st_size,
                sha256=digest_file(path),
            )
            for path in sorted(found)
            if path.is_file() and path.name not in (SEAL_NAME, LOCK_NAME) and not path.name.startswith(TEMPORARY_PREFIX)
        ]
    )
    seal.digest = seal.own_digest()
    write_text(run_directory / SEAL_NAME, seal.model_dump_json(indent=1) + "\n")


def break_seal(run_directory: Path) -> None:
    """Remove the seal before the records change; ResourceError when it cannot be removed."""
    try:
        (run_directory / SEAL_NAME).unlink(missing_ok=True)
    except OSError as error:
        raise write_error(error, run_directory / SEAL_NAME) from error


def prove_seal(run_directory: Path) -> list[Proof]:
    """One proof for the seal, and one for every record that is not as sealed; none for a run without a seal."""
    path = run_directory / SEAL_NAME
    if not path.is_file():
        return []
    try:
        seal = Seal.model_validate_json(path.read_bytes())
    except ValidationError:
        return [_failed("seal", f"{SEAL_NAME} cannot be read as the seal of a run")]
    if seal.digest != seal.own_digest():
        return [_failed("seal", f"{SEAL_NAME} is not as it was written, its own digest says")]
    broken = [
        _failed(record.path, f"{record.path} is not as it was when the run ended")
        for record in seal.files
        if not _as_sealed(run_directory / record.path, record)
    ]
    said = f"{len(seal.files) - len(broken)} of {len(seal.files)} records as they were when the run ended"
    return [Proof(name="seal", passed=not broken, message=said, remedy=REMEDY, code=ErrorCode.CORRUPTION), *broken]


def _as_sealed(path: Path, record: FileRecord) -> bool:
    return path.is_file() and path.stat().st_size == record.size_bytes and digest_file(path) == record.sha256


def _failed(name: str, message: str) -> Proof:
    return Proof(name=name, passed=False, message=message, remedy=REMEDY, code=ErrorCode.CORRUPTION)
