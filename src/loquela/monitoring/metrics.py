"""metrics.jsonl: one line per recorded step, aggregated while it is written, cut back when steps are redone.

A line is one flat JSON object: "step", then the metrics that were given, by name. JSON has no NaN: a number that
is not finite is null in its place and named in "not_finite", e.g. {"step": 7, "loss": null,
"not_finite": {"loss": "nan"}}, so that the fact stays in the file and every reader can read it.

A line is appended in one write. A crash can leave half of the last one, which is dropped when the file is
opened again, and lines of steps that will be done again, which `truncate_after` drops.
"""

from __future__ import annotations

import json
import math
import re
import statistics
from collections import deque
from collections.abc import Callable, Iterable
from pathlib import Path

from pydantic import JsonValue

from loquela.core.atomic import append_line, write_text
from loquela.core.errors import DataError, ErrorCode, LoquelaError, ResourceError
from loquela.monitoring.contracts import (
    AggregatedMetrics,
    MetricsCollectorRequest,
    MetricsCollectorResult,
    StepMetrics,
    Trend,
)
from loquela.monitoring.events import Bus, SilentBus, trace

METRIC_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.]*")
RESERVED_NAMES = ("step", "loss", "learning_rate", "gradient_norm", "not_finite")
WINDOW = 100
# Fewer losses than this say nothing about a direction.
TREND_LOSSES_MIN = 10
# A change counts from two standard errors, and from a thousandth of the loss.
TREND_STANDARD_ERRORS = 2.0
TREND_SHARE = 1e-3

Line = dict[str, JsonValue]


class MetricsCollector:
    """Validates, aggregates and appends; opening an existing file goes on where it ended.

    Raises ResourceError(PERSISTENCE_FAILED) when the file can be neither read nor written.
    """

    def __init__(self, path: Path, bus: Bus | None = None) -> None:
        self.path = path
        self.bus: Bus = bus or SilentBus()
        self._losses: deque[float] = deque(maxlen=WINDOW)
        self._keep(lambda line: True)

    def collect(self, request: MetricsCollectorRequest) -> MetricsCollectorResult:
        """Record the metrics of one step.

        Raises DataError(INVALID_METRIC) for a name or value that is none, and then records nothing;
        ResourceError(PERSISTENCE_FAILED) when the line cannot be written, DISK_FULL staying what it is:
        it pauses the run instead of failing it.
        """
        line = flat_line(request.step, request.metrics)
        trace(self.bus, "MetricsCollector", "metrics_received", step=request.step, metrics=len(line) - 1)
        self._remember(request.metrics.loss)
        aggregated = self.aggregate()
        average = aggregated.avg_loss_last_100
        trace(
            self.bus,
            "MetricsCollector",
            "metrics_aggregated",
            step=request.step,
            avg_loss_last_100=average if math.isfinite(average) else None,
            trend=aggregated.trend,
        )
        try:
            append_line(self.path, json.dumps(line, ensure_ascii=False, allow_nan=False))
        except LoquelaError as error:
            if error.code is ErrorCode.DISK_FULL:
                raise
            raise persistence_failed(self.path, error) from error
        trace(self.bus, "MetricsCollector", "metrics_persisted", step=request.step)
        return MetricsCollectorResult(persisted=True, aggregated_metrics=aggregated)

    def aggregate(self) -> AggregatedMetrics:
        """Mean and trend of the last losses."""
        average = statistics.fmean(self._losses) if self._losses else math.nan
        return AggregatedMetrics(avg_loss_last_100=average, trend=trend(self._losses))

    def truncate_after(self, step: int) -> int:
        """Drop the lines of steps after `step`, which will be done again; returns how many went."""
        return self._keep(lambda line: _step(line) <= step)

    def _keep(self, wanted: Callable[[Line], bool]) -> int:
        """Rewrite the file with the whole lines that are wanted, if that changes it; reload the losses."""
        try:
            text = self.path.read_text(encoding="utf-8", errors="replace") if self.path.exists() else ""
        except OSError as error:
            raise persistence_failed(self.path, error) from error
        raw = text.removesuffix("\n").split("\n") if text else []
        kept = [(source, line) for source in raw if (line := parse_line(source)) is not None and wanted(line)]
        if len(kept) != len(raw) or (text and not text.endswith("\n")):
            try:
                write_text(self.path, "".join(source + "\n" for source, _ in kept))
            except LoquelaError as error:
                raise persistence_failed(self.path, error) from error
        self._losses.clear()
        for _, line in kept:
            loss = line.get("loss")
            self._remember(loss if isinstance(loss, int | float) else None)
        return len(raw) - len(kept)

    def _remember(self, loss: float | None) -> None:
        if loss is not None and math.isfinite(loss):
            self._losses.append(float(loss))


def flat_line(step: int, metrics: StepMetrics) -> Line:
    """The line of one step; DataError(INVALID_METRIC) for a custom metric that is not a named number."""
    line: Line = {"step": step}
    not_finite: Line = {}
    named = {"loss": metrics.loss, "learning_rate": metrics.learning_rate, "gradient_norm": metrics.gradient_norm}
    for name, value in [*named.items(), *custom(metrics.custom_metrics)]:
        if value is None:
            continue
        line[name] = value if math.isfinite(value) else None
        if not math.isfinite(value):
            not_finite[name] = str(value)
    if not_finite:
        line["not_finite"] = not_finite
    return line


def custom(metrics: dict[str, JsonValue]) -> Iterable[tuple[str, float]]:
    """Custom metrics that are named numbers; DataError(INVALID_METRIC) for the first that is not."""
    for name, value in metrics.items():
        if name in RESERVED_NAMES or not METRIC_NAME.fullmatch(name):
            raise invalid_metric(name, "the name must be a word of letters, digits, dots and _, and not one of ours")
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise invalid_metric(name, f"its value is {type(value).__name__}, not a number")
        yield name, value


def trend(losses: Iterable[float]) -> Trend:
    """Where the loss is going: the mean of the newer half of the window against that of the older half.

    "stable" when they differ by less than two standard errors of the difference, or by less than a thousandth
    of the older mean, or when there are fewer than ten losses.
    """
    values = list(losses)
    if len(values) < TREND_LOSSES_MIN:
        return "stable"
    older, newer = values[: len(values) // 2], values[len(values) // 2 :]
    before, after = statistics.fmean(older), statistics.fmean(newer)
    error = math.sqrt(statistics.variance(older) / len(older) + statistics.variance(newer) / len(newer))
    if abs(after - before) <= max(TREND_STANDARD_ERRORS * error, TREND_SHARE * abs(before)):
        return "stable"
    return "improving" if after < before else "degrading"


def parse_line(source: str) -> Line | None:
    """One line as an object, None for what a crash left of one."""
    try:
        line = json.loads(source)
    except json.JSONDecodeError:
        return None
    return line if isinstance(line, dict) else None


def _step(line: Line) -> int:
    step = line.get("step")
    return step if isinstance(step, int) else 0


def invalid_metric(name: str, what: str) -> DataError:
    """INVALID_METRIC."""
    return DataError(
        ErrorCode.INVALID_METRIC,
        f"metric {name!r} cannot be recorded: {what}",
        "rename it, or give a number",
        details={"metric_name": name},
    )


def persistence_failed(path: Path, error: LoquelaError | OSError) -> ResourceError:
    """PERSISTENCE_FAILED, with the code of what went wrong underneath."""
    if isinstance(error, LoquelaError):
        what, remedy, cause = error.message, error.remedy, str(error.code)
    else:
        what, remedy, cause = f"{path}: {error}", "check the file; then resume the run", type(error).__name__
    return ResourceError(
        ErrorCode.PERSISTENCE_FAILED,
        f"metrics cannot be recorded: {what}",
        remedy,
        details={"metric_name": "*", "cause": cause},
    )
