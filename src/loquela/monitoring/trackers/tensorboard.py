"""TensorBoard: event files in `tensorboard/` of the run, for `tensorboard --logdir`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Protocol

from loquela.core.extras import missing, require
from loquela.monitoring.tracking.contract import Outcome, TrackedRun

FOLDER = "tensorboard"
FLUSH_SECONDS = 10
PURPOSE = "track: [tensorboard]"


class _Writer(Protocol):
    """The part of tensorboardX's SummaryWriter that is used."""

    def add_scalar(self, tag: str, scalar_value: float, global_step: int) -> None: ...

    def add_text(self, tag: str, text_string: str, global_step: int) -> None: ...

    def close(self) -> None: ...


class TensorBoardTracker:
    """Steps that are done again are purged: TensorBoard drops what the earlier file says of them."""

    def __init__(self) -> None:
        self._folder = Path(FOLDER)
        self._writer: _Writer | None = None
        self._redone_from: int | None = None
        self._settings = ""

    def check(self, run: TrackedRun) -> None:
        """ResourceError(MISSING_EXTRA) where tensorboardX is not installed."""
        if find_spec("tensorboardX") is None:
            raise missing("tensorboardX", extra="tensorboard", purpose=PURPOSE)

    def start(self, run: TrackedRun) -> str:
        """The folder; its first file is opened with the first number."""
        self._folder = run.directory / FOLDER
        lines = [f"    {key}: {json.dumps(value, ensure_ascii=False)}" for key, value in run.settings.items()]
        self._settings = "\n".join(lines)
        return f"tensorboard --logdir {self._folder}"

    def rewind(self, step: int) -> None:
        """The next number begins a file that takes the place of everything after `step`."""
        self._close()
        self._redone_from = step + 1

    def log(self, step: int, numbers: Mapping[str, float]) -> None:
        """Scalars at their step."""
        writer = self._writer or self._open(step)
        for name, value in numbers.items():
            writer.add_scalar(name, value, step)

    def finish(self, outcome: Outcome) -> None:
        """Close the file."""
        self._close()

    def _open(self, step: int) -> _Writer:
        module = require("tensorboardX", extra="tensorboard", purpose=PURPOSE)
        # The library names files by the second; of two in one second the later would overwrite the earlier.
        number = len(list(self._folder.glob("events.*")))
        writer: _Writer = module.SummaryWriter(
            logdir=str(self._folder),
            purge_step=self._redone_from,
            flush_secs=FLUSH_SECONDS,
            filename_suffix=f".{number:04d}",
        )
        writer.add_text("recipe", self._settings, step)
        self._writer = writer
        return writer

    def _close(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None
