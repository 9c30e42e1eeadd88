"""The marker that a run on a rented machine is over: how it ended, what it cost, SHA-256 of every file it made."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError

from loquela.core.digests import digest_file
from loquela.core.errors import DataError, ErrorCode
from loquela.core.model import BoundaryModel

DONE_NAME = "DONE.json"
RELEASED_NAME = "RELEASED"

Outcome = Literal["completed", "failed", "cost_cap", "idle", "stopped"]


class ResultFile(BoundaryModel):
    """One file by its path below the results."""

    size: int = Field(ge=0)
    sha256: str


class Done(BoundaryModel):
    """`copied_to` is the bucket that holds the files too, where the recipe names one."""

    outcome: Outcome
    exit_code: int | None
    message: str
    seconds: float
    cost_usd: float
    files: dict[str, ResultFile]
    copied_to: str | None = None


def list_results(folder: Path) -> dict[str, ResultFile]:
    """Every file below `folder`; symbolic links are no results."""
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not path.is_symlink():
            name = path.relative_to(folder).as_posix()
            found[name] = ResultFile(size=path.stat().st_size, sha256=digest_file(path))
    return found


def check_results(folder: Path, done: Done) -> None:
    """Prove that `folder` holds exactly the files of `done`; DataError(CORRUPTION) names the first that is wrong."""
    here = list_results(folder)
    missing = sorted(done.files.keys() - here.keys())
    extra = sorted(here.keys() - done.files.keys())
    changed = sorted(name for name in here.keys() & done.files.keys() if here[name] != done.files[name])
    for names, what in ((missing, "did not arrive"), (changed, "is not what was sent"), (extra, "was not sent")):
        if names:
            raise DataError(
                ErrorCode.CORRUPTION,
                f"{names[0]} {what} ({len(missing)} missing, {len(changed)} changed, {len(extra)} more than expected)",
                "fetch the results again: the machine was not released and still has them",
                details={"missing": [*missing], "changed": [*changed], "extra": [*extra]},
            )


def read_done(text: str) -> Done:
    """The marker from its JSON; DataError(CORRUPTION) for one that is half written or of another form."""
    try:
        return Done.model_validate_json(text)
    except ValidationError as error:
        raise DataError(
            ErrorCode.CORRUPTION, "the marker of the finished run cannot be read", "fetch the results again"
        ) from error
