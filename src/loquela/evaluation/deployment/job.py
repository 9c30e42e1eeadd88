"""What the process that runs a bundle is given, and what it answers; one JSON object each way, and lines between."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from loquela.core.carried_error import CarriedError
from loquela.core.model import BoundaryModel
from loquela.recipe.deploy_section import DeployLimits, DeployLoad


class LoadJob(BoundaryModel):
    """`rate_per_second` None: the process finds half of what the bundle can do, and says what it was."""

    bundle: Path
    load: DeployLoad
    limits: DeployLimits
    rate_per_second: float | None
    repeat: int


class GoldenMismatch(BoundaryModel):
    """The first token of a continuation that is not the one in the bundle; ids."""

    prompt: int
    position: int
    expected: int
    written: int


class GoldenOutcome(BoundaryModel):
    """All golden prompts of a bundle, decoded greedily."""

    prompts: int
    tokens: int
    mismatches: list[GoldenMismatch] = Field(default_factory=list)


class ServedRequest(BoundaryModel):
    """One request of a load, in seconds since the load began.

    Latency is `finished` − `arrived` and the time to first token `first_token` − `arrived`: what a request waited for
    others counts. `error` says why there is no answer.
    """

    arrived: float
    started: float | None = None
    first_token: float | None = None
    finished: float | None = None
    tokens: int = 0
    error: str | None = None


class TokenGaps(BoundaryModel):
    """Milliseconds between one token of a request and its next; zeros where no request had two."""

    count: int
    mean: float
    p50: float
    p95: float
    p99: float


class LoadRun(BoundaryModel):
    """One repeat: what a fresh process measured of itself.

    `seconds` runs from the first moment to the last answer, or to the end of the arrivals if that is later;
    `busy_seconds` is the part of it that was spent answering. Memory is in mebibytes (2^20 bytes).
    """

    rate_per_second: float
    seconds: float
    busy_seconds: float
    requests: list[ServedRequest]
    gaps: TokenGaps
    golden: GoldenOutcome
    cold_start_seconds: float
    loaded_mb: float
    rss_mb: float
    peak_mb: float
    cut_prompts: int = 0


class LoadMessage(BoundaryModel):
    """A line from the process: how far it is, then what it measured or why it could not."""

    served: int | None = None
    run: LoadRun | None = None
    failure: CarriedError | None = None
