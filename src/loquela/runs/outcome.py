"""How a run ended, in the words of its status and manifest."""

from __future__ import annotations

from pydantic import JsonValue

from loquela.core.errors import ErrorCode, LoquelaError
from loquela.runs.manifest import TrainingRunManifest
from loquela.runs.status import STDERR_LINES_KEPT, ErrorDetails, Phase

EVALUATED = {
    "loss": "evaluation_loss",
    "perplexity": "perplexity",
    "bits_per_byte": "bits_per_byte",
    "accuracy": "accuracy",
    "f1_score": "f1_score",
}
BUG_REMEDY = "report this as a bug, with logs/system.log"


def error_details(error: Exception, phase: Phase, last_lines: str) -> ErrorDetails:
    """What the status says of an error met in `phase`; of the log lines, the newest stay."""
    known = error if isinstance(error, LoquelaError) else None
    code = known.code if known is not None else ErrorCode.INTERNAL
    return ErrorDetails(
        failed_phase=phase,
        error_type=error_type(code),
        error_message=known.message if known is not None else f"{type(error).__name__}: {error}",
        stderr_output="\n".join(last_lines.splitlines()[-STDERR_LINES_KEPT:]),
        code=code,
        remedy=known.remedy if known is not None else BUG_REMEDY,
    )


def error_type(code: ErrorCode) -> str:
    """The category that the pipeline status reports for a code."""
    if code in (ErrorCode.DISK_FULL,):
        return "disk_space"
    if code in (ErrorCode.NETWORK_ERROR, ErrorCode.TIMEOUT, ErrorCode.AUTH_FAILED):
        return "network"
    if code is ErrorCode.OOM:
        return "oom"
    if code in (ErrorCode.VALIDATION_FAILED, ErrorCode.PERFORMANCE_BELOW_THRESHOLD, ErrorCode.EVALUATION_FAILED):
        return "validation_failure"
    return "other"


def summary_of(manifest: TrainingRunManifest) -> dict[str, JsonValue]:
    """The numbers that `runs list` and `runs diff` compare."""
    summary: dict[str, JsonValue] = {}
    for name in ("train", "finetune", "evaluate", "compare"):
        record = manifest.stages.get(name)
        if record is not None:
            summary.update({key: value for key, value in record.facts.items() if isinstance(value, int | float | str)})
            summary.update(_evaluated(record.facts.get("validation")))
    return summary


def _evaluated(validation: JsonValue) -> dict[str, JsonValue]:
    """What the served model is worth on the validation split; `validation_loss` is that of the last weights."""
    if not isinstance(validation, dict):
        return {}
    found = {EVALUATED[key]: value for key, value in validation.items() if key in EVALUATED}
    return {key: value for key, value in found.items() if value is not None}
