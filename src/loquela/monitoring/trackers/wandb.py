"""Weights & Biases: online with the key of `wandb login` or WANDB_API_KEY; offline into `wandb/` of the run."""

from __future__ import annotations

import netrc
import os
from collections.abc import Mapping
from importlib.util import find_spec
from typing import Protocol
from urllib.parse import urlsplit

from pydantic import JsonValue

from loquela.core.errors import ErrorCode, ResourceError
from loquela.core.extras import missing, require
from loquela.monitoring.tracking.contract import Outcome, TrackedRun

STEP = "step"
PURPOSE = "track: [wandb]"
SERVER = "https://api.wandb.ai"
# A run that was stopped on request is no success and no crash.
EXIT_CODES: dict[Outcome, int] = {"completed": 0, "failed": 1, "interrupted": 75}


class _Run(Protocol):
    """The part of wandb's Run that is used."""

    @property
    def dir(self) -> str: ...

    @property
    def url(self) -> str | None: ...

    def define_metric(self, name: str, step_metric: str | None = None) -> object: ...

    def log(self, data: dict[str, float]) -> None: ...

    def finish(self, exit_code: int) -> None: ...


class WandbTracker:
    """Our steps are a metric of their own, so that steps which are done again do not have to grow."""

    def __init__(self) -> None:
        self._run: _Run | None = None

    def check(self, run: TrackedRun) -> None:
        """ResourceError: MISSING_EXTRA, or AUTH_FAILED where no key is found and the run is not to stay offline."""
        if find_spec("wandb") is None:
            raise missing("wandb", extra="wandb", purpose=PURPOSE)
        if not _offline(run) and not _key_found():
            raise ResourceError(
                ErrorCode.AUTH_FAILED,
                "track: [wandb] sends to Weights & Biases, and no key for it is found on this machine",
                "log in with `wandb login`, set WANDB_API_KEY, or keep the records here: tracking.offline: true",
            )

    def start(self, run: TrackedRun) -> str:
        """Open the run under our id, so that a resumed one goes on in it."""
        wandb = require("wandb", extra="wandb", purpose=PURPOSE)
        offline = _offline(run)
        settings = wandb.Settings(silent=True, console="off", disable_git=True, disable_code=True)
        values: dict[str, JsonValue] = {**run.settings}
        opened: _Run = wandb.init(
            project=run.project,
            id=run.run_id,
            name=run.run_id,
            dir=str(run.directory),
            config=values,
            mode="offline" if offline else "online",
            resume=None if offline else "allow",
            settings=settings,
        )
        opened.define_metric(STEP)
        opened.define_metric("*", step_metric=STEP)
        self._run = opened
        return f"wandb sync {os.path.dirname(opened.dir)}" if offline else str(opened.url)

    def rewind(self, step: int) -> None:
        """Nothing: a number that comes again at the same step stands beside the first."""

    def log(self, step: int, numbers: Mapping[str, float]) -> None:
        """Numbers with their step."""
        if self._run is not None:
            self._run.log({**numbers, STEP: float(step)})

    def finish(self, outcome: Outcome) -> None:
        """Deliver and close."""
        if self._run is not None:
            self._run.finish(exit_code=EXIT_CODES[outcome])
            self._run = None


def _offline(run: TrackedRun) -> bool:
    return run.offline or os.environ.get("WANDB_MODE") == "offline"


def _key_found() -> bool:
    if os.environ.get("WANDB_API_KEY") or os.environ.get("WANDB_IDENTITY_TOKEN_FILE"):
        return True
    host = urlsplit(os.environ.get("WANDB_BASE_URL", SERVER)).hostname or ""
    try:
        return netrc.netrc(os.environ.get("NETRC")).authenticators(host) is not None
    except (OSError, netrc.NetrcParseError):
        return False
