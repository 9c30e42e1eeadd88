"""DataValidator: one chunk of raw bytes → passed, warning or failed, with its score and its sanitised bytes."""

from __future__ import annotations

from pydantic import JsonValue

from loquela.core.errors import DataError, ErrorCode
from loquela.data.validation.byte_counts import ByteCounts
from loquela.data.validation.contracts import (
    DataValidatorError,
    DataValidatorRequest,
    DataValidatorResult,
    QualityMetrics,
)
from loquela.data.validation.patterns import PatternSet
from loquela.data.validation.sanitize import sanitized
from loquela.data.validation.verdict import judged
from loquela.monitoring.events import Bus, trace
from loquela.recipe.validation_section import ProhibitedPattern, SanitizeOptions

COMPONENT = "DataValidator"
# Places of one pattern that an error lists; the count is always that of all.
LISTED_PLACES = 20

_REMEDIES = {
    ErrorCode.ENCODING_ERROR: "convert the text to UTF-8, or read it through a source, which finds its encoding",
    ErrorCode.PROHIBITED_CONTENT: "remove what matches, or redact it: data.validation.patterns with action: redact",
    ErrorCode.QUALITY_BELOW_THRESHOLD: "leave the chunk out, or lower min_quality_score after looking at its text",
}


class DataValidator:
    """Judges chunks by encoding, the rule set `basic` and prohibited patterns; one thread at a time.

    With `reject` a chunk that fails raises; without, its result says "failed". Patterns are compiled when they are
    first asked for and kept for the chunks that follow.
    """

    def __init__(self, bus: Bus, *, sanitize: SanitizeOptions | None = None, reject: bool = True) -> None:
        self.bus = bus
        self.sanitize = sanitize or SanitizeOptions()
        self.reject = reject
        self._byte_counts = ByteCounts()
        self._compiled: tuple[tuple[str, ...], PatternSet] = ((), PatternSet([]))

    def validate(self, request: DataValidatorRequest) -> DataValidatorResult:
        """The result for one chunk.

        Raises DataError (ENCODING_ERROR, PROHIBITED_CONTENT, QUALITY_BELOW_THRESHOLD) whose details are a
        `DataValidatorError`; RecipeError(CONFIG_INVALID) for a pattern that cannot be searched.
        """
        rules, data = request.validation_rules, request.chunk_data
        trace(self.bus, COMPONENT, "validation_start", stream_id=str(request.stream_id), bytes=len(data))
        try:
            text = data.decode(rules.encoding)
        except UnicodeDecodeError as error:
            return self._misencoded(data, rules.encoding, error)
        signals, score = judged(self._byte_counts.values(data), {})
        broken = [signal for signal in signals if not signal.passed]
        trace(
            self.bus, COMPONENT, "quality_check", quality_score=score, rules_broken=[signal.name for signal in broken]
        )
        found = self._prohibited(rules.prohibited_patterns, data)
        issues = len(broken) + sum(count for _, count, _ in found)
        metrics = QualityMetrics(encoding_valid=True, quality_score=score, issues_found=issues)
        if found:
            details = [_match_details(*match) for match in found]
            names = ", ".join(pattern for pattern, _, _ in found)
            return self._failed(ErrorCode.PROHIBITED_CONTENT, f"it matches {names}", details, metrics, data)
        if score < rules.min_quality_score:
            details = [{"rule": signal.name, "value": signal.value, "threshold": signal.threshold} for signal in broken]
            what = f"its quality score is {score:.3f}, {rules.min_quality_score} is asked for"
            return self._failed(ErrorCode.QUALITY_BELOW_THRESHOLD, what, details, metrics, data)
        cleaned = self._sanitized(text, data)
        return DataValidatorResult(
            status="warning" if issues else "passed", quality_metrics=metrics, sanitized_data=cleaned
        )

    def _prohibited(self, patterns: list[str], data: bytes) -> list[tuple[str, int, list[tuple[int, int]]]]:
        """Pattern, number of matches and first places, of those that match."""
        if self._compiled[0] != tuple(patterns):
            named = [ProhibitedPattern(name=f"pattern-{at}", pattern=text) for at, text in enumerate(patterns, 1)]
            self._compiled = (tuple(patterns), PatternSet(named))
        compiled = self._compiled[1]
        places = {index: compiled.spans(index, data) for index in compiled.matching(data)}
        return [(patterns[index], len(spans), spans[:LISTED_PLACES]) for index, spans in places.items()]

    def _sanitized(self, text: str, data: bytes) -> bytes:
        cleaned, changes = sanitized(text, self.sanitize)
        trace(self.bus, COMPONENT, "sanitization_complete", changed_bytes=sum(changes.values()))
        return cleaned.encode("utf-8") if changes else data

    def _misencoded(self, data: bytes, encoding: str, error: UnicodeDecodeError) -> DataValidatorResult:
        wrong = len(data) - len(data.decode(encoding, "ignore").encode(encoding))
        line = data.count(b"\n", 0, error.start) + 1
        what = f"byte 0x{data[error.start]:02x} at offset {error.start}, line {line} is not {encoding.upper()}"
        details: list[JsonValue] = [{"offset": error.start, "line": line, "reason": error.reason, "bytes": wrong}]
        metrics = QualityMetrics(encoding_valid=False, quality_score=0.0, issues_found=wrong)
        return self._failed(ErrorCode.ENCODING_ERROR, what, details, metrics, data)

    def _failed(
        self, code: ErrorCode, what: str, details: list[JsonValue], metrics: QualityMetrics, data: bytes
    ) -> DataValidatorResult:
        if not self.reject:
            return DataValidatorResult(status="failed", quality_metrics=metrics, sanitized_data=data)
        error = DataValidatorError.model_validate(
            {"error_code": code.value, "details": details, "chunk_rejected": True}
        )
        raise DataError(code, f"the chunk is rejected: {what}", _REMEDIES[code], details=error.model_dump(mode="json"))


def _match_details(pattern: str, count: int, places: list[tuple[int, int]]) -> JsonValue:
    return {"pattern": pattern, "matches": count, "bytes": [[start, end] for start, end in places]}
