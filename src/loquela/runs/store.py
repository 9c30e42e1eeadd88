"""Runs on disk: made, listed, found by id, prefix or path.

<output_directory>/runs/<name>-<UTC time>-<random>/
"""

from __future__ import annotations

import secrets
from datetime import UTC, datetime
from pathlib import Path

from loquela.core.atomic import write_error
from loquela.core.errors import ErrorCode, LoquelaError, RecipeError
from loquela.core.model import BoundaryModel
from loquela.core.near_names import nearest
from loquela.runs.lock import is_locked
from loquela.runs.manifest import load_run_manifest
from loquela.runs.status import STATUS_NAME, PipelineStatus, load_status


class RunSummary(BoundaryModel):
    """One line of `loquela runs list`."""

    run_id: str
    directory: Path
    phase: str
    active: bool
    started: datetime
    validation_loss: float | None = None
    message: str = ""


class RunStore:
    """The runs below one output directory."""

    def __init__(self, output_directory: Path) -> None:
        self.root = output_directory.expanduser() / "runs"

    def create(self, name: str, run_id: str | None = None) -> Path:
        """Make the folder of a new run; its name is its id, which may have been given out before (`new_run_id`)."""
        directory = self.root / (run_id or new_run_id(name))
        try:
            directory.mkdir(parents=True, exist_ok=run_id is not None)
        except OSError as error:
            raise write_error(error, directory) from error
        return directory

    def begun(self, run_id: str) -> Path | None:
        """The folder of the run with exactly this id; None where it has not begun to write about itself."""
        directory = self.root / run_id
        return directory if (directory / STATUS_NAME).is_file() else None

    def directories(self) -> list[Path]:
        """Folders that hold a run, newest first."""
        if not self.root.is_dir():
            return []
        found = [entry for entry in self.root.iterdir() if (entry / STATUS_NAME).is_file()]
        return sorted(found, key=lambda entry: (entry / STATUS_NAME).stat().st_mtime, reverse=True)

    def list(self) -> list[RunSummary]:
        """Every readable run, newest first; a damaged one is listed with what is wrong with it."""
        return [self.summary(directory) for directory in self.directories()]

    def summary(self, directory: Path) -> RunSummary:
        """What `runs list` says of one run."""
        try:
            status = load_status(directory)
        except LoquelaError as error:
            stamp = datetime.fromtimestamp(directory.stat().st_mtime, UTC)
            return RunSummary(
                run_id=directory.name,
                directory=directory,
                phase="damaged",
                active=False,
                started=stamp,
                message=error.message,
            )
        return RunSummary(
            run_id=directory.name,
            directory=directory,
            phase=status.current_phase,
            active=is_locked(directory),
            started=status.start_time,
            validation_loss=_validation_loss(directory, status),
            message=status.message,
        )

    def open(self, reference: str | Path) -> Path:
        """The folder of a run given by path, id or unambiguous prefix of an id, or `latest`."""
        path = Path(reference).expanduser()
        if (path / STATUS_NAME).is_file():
            return path
        known = {directory.name: directory for directory in self.directories()}
        text = str(reference)
        if text == "latest" and known:
            return next(iter(known.values()))
        matches = [name for name in known if name == text] or [name for name in known if name.startswith(text)]
        if len(matches) == 1:
            return known[matches[0]]
        raise _no_such_run(text, matches, list(known), self.root)


def new_run_id(name: str) -> str:
    """An id for a run of the recipe called `name`: <name>-<UTC time>-<random>."""
    stamp = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
    return f"{name}-{stamp}-{secrets.token_hex(3)}"


def _validation_loss(directory: Path, status: PipelineStatus) -> float | None:
    if status.validation_results is not None:
        return status.validation_results.final_val_loss
    try:
        found = load_run_manifest(directory).metrics_summary.get("validation_loss")
    except LoquelaError:
        return None
    return found if isinstance(found, float) else None


def _no_such_run(text: str, matches: list[str], known: list[str], root: Path) -> RecipeError:
    if matches:
        return RecipeError(
            ErrorCode.RUN_NOT_FOUND,
            f"{text!r} begins {len(matches)} run ids in {root}: {', '.join(sorted(matches))}",
            "give more of the id",
        )
    near = nearest(text, known)
    hint = f"; did you mean {near!r}?" if near else ""
    return RecipeError(
        ErrorCode.RUN_NOT_FOUND,
        f"no run {text!r} in {root}{hint}",
        "list the runs with: loquela runs list --output-directory DIR",
        details={"known": [*known[:20]]},
    )
