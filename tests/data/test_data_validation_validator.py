"""DataValidator: chunks of bytes, the three statuses, and an error for each way to fail."""

from __future__ import annotations

from uuid import uuid4

import pytest
from pydantic import ValidationError

from loquela.core.errors import DataError, ErrorCode, RecipeError
from loquela.data.validation.contracts import DataValidatorError, DataValidatorRequest, DataValidatorResult
from loquela.data.validation.validator import DataValidator
from loquela.monitoring.events import EventBus, SilentBus
from loquela.recipe.validation_section import SanitizeOptions

PROSE = "El río había crecido en la noche. The river had risen in the night.\n".encode() * 50


def request(data: bytes, **rules: object) -> DataValidatorRequest:
    return DataValidatorRequest.model_validate({"stream_id": uuid4(), "chunk_data": data, "validation_rules": rules})


def validate(data: bytes, *, reject: bool = True, **rules: object) -> DataValidatorResult:
    return DataValidator(SilentBus(), reject=reject).validate(request(data, **rules))


def rejected(data: bytes, message: str, **rules: object) -> DataValidatorError:
    with pytest.raises(DataError, match=message) as caught:
        validate(data, **rules)
    details = DataValidatorError.model_validate(caught.value.details)
    assert caught.value.code == ErrorCode(details.error_code)
    assert details.chunk_rejected
    assert "the chunk is rejected: " in caught.value.message
    return details


def test_a_good_chunk_passes_as_it_is() -> None:
    result = validate(PROSE, min_quality_score=0.9, prohibited_patterns=["casino", r"\d{3}-\d{2}-\d{4}"])
    assert result.status == "passed"
    assert result.quality_metrics.model_dump() == {"encoding_valid": True, "quality_score": 1.0, "issues_found": 0}
    assert result.sanitized_data is PROSE


def test_a_chunk_with_a_broken_rule_is_warned_of() -> None:
    result = validate(b"MANY CAPITALS IN THIS TEXT, but not only.", min_quality_score=0.1)
    assert (result.status, result.quality_metrics.issues_found) == ("warning", 1)
    assert 0.1 < result.quality_metrics.quality_score < 1


def test_encoding_error() -> None:
    details = rejected(b"good\nse\xf1or \xff", "byte 0xf1 at offset 7, line 2 is not UTF-8")
    assert details.error_code == "ENCODING_ERROR"
    assert details.details == [{"offset": 7, "line": 2, "reason": "invalid continuation byte", "bytes": 2}]
    rejected("café".encode(), "byte 0xc3 at offset 3, line 1 is not ASCII", encoding="ascii")
    failed = validate(b"\xff", reject=False)
    assert (failed.status, failed.quality_metrics.encoding_valid) == ("failed", False)


def test_prohibited_content() -> None:
    details = rejected(
        PROSE + b"078-05-1120 x 078-05-1121", r"it matches \\d", prohibited_patterns=["zzz", r"\d{3}-\d{2}-\d{4}"]
    )
    assert details.error_code == "PROHIBITED_CONTENT"
    start = len(PROSE)
    assert details.details == [
        {"pattern": r"\d{3}-\d{2}-\d{4}", "matches": 2, "bytes": [[start, start + 11], [start + 14, start + 25]]}
    ]
    failed = validate(PROSE, reject=False, prohibited_patterns=["river"])
    assert (failed.status, failed.quality_metrics.issues_found) == ("failed", 50)


def test_quality_below_threshold() -> None:
    details = rejected(b"0101010101 " * 20, "its quality score is 0.000, 0.5 is asked for", min_quality_score=0.5)
    assert details.error_code == "QUALITY_BELOW_THRESHOLD"
    assert {"rule": "basic.letters", "value": 0.0, "threshold": 0.6} in details.details
    assert validate(b"", reject=False, min_quality_score=0.5).status == "failed"


def test_sanitising_changes_only_what_is_asked() -> None:
    validator = DataValidator(SilentBus(), sanitize=SanitizeOptions(zero_width=True))
    assert validator.validate(request("a\u200bb\x07".encode())).sanitized_data == b"ab\x07"


def test_patterns_are_compiled_once(monkeypatch: pytest.MonkeyPatch) -> None:
    validator = DataValidator(SilentBus())
    validator.validate(request(PROSE, prohibited_patterns=["zzz"]))
    compiled = validator._compiled[1]
    validator.validate(request(PROSE, prohibited_patterns=["zzz"]))
    assert validator._compiled[1] is compiled
    with pytest.raises(DataError, match="it matches river"):
        validator.validate(request(PROSE, prohibited_patterns=["river"]))


def test_a_pattern_that_cannot_be_searched_for() -> None:
    with pytest.raises(RecipeError, match=r"pattern-2 \(\(a\)\\1\) cannot be searched for"):
        validate(PROSE, prohibited_patterns=["b", r"(a)\1"])


@pytest.mark.parametrize("rules", [{"encoding": "latin-1"}, {"min_quality_score": 1.5}, {"prohibited_patterns": [1]}])
def test_requests_out_of_range(rules: dict) -> None:
    with pytest.raises(ValidationError):
        request(PROSE, **rules)


def test_trace_points() -> None:
    bus = EventBus()
    names: list[str] = []
    bus.subscribe(lambda event: names.append(event.name))
    DataValidator(bus).validate(request(PROSE))
    assert names == [
        f"data_validator.{point}.v1" for point in ("validation_start", "quality_check", "sanitization_complete")
    ]
