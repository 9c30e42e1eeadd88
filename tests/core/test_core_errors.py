"""The error tree: codes, exit codes, HTTP statuses, what a user reads."""

import re
from pathlib import Path

import pytest

from loquela.core.errors import (
    DataError,
    ErrorCode,
    FailureClass,
    InternalError,
    Interrupted,
    LoquelaError,
    ProofError,
    RecipeError,
    ResourceError,
)

SEEDS = Path(__file__).parents[2].parent / "shared" / "seeds"


@pytest.mark.parametrize(
    ("kind", "exit_code", "status"),
    [
        (RecipeError, 2, 400),
        (DataError, 3, 422),
        (ResourceError, 4, 503),
        (ProofError, 5, 409),
        (InternalError, 70, 500),
        (Interrupted, 75, 409),
    ],
)
def test_exit_code_and_status_follow_from_the_class(kind: type[LoquelaError], exit_code: int, status: int) -> None:
    error = kind(ErrorCode.INTERNAL, "what and where", "do this")
    assert (error.exit_code, error.http_status) == (exit_code, status)
    assert str(error) == "what and where [INTERNAL]\n  to mend it: do this"


def test_a_retryable_error_is_transient() -> None:
    error = ResourceError(ErrorCode.NETWORK_ERROR, "m", "r", retryable=True)
    assert error.failure_class is FailureClass.TRANSIENT
    assert ResourceError.failure_class is FailureClass.FATAL


@pytest.mark.skipif(not SEEDS.is_dir(), reason="the seed documents are not beside this checkout")
def test_every_code_of_the_seed_is_known() -> None:
    text = "\n".join(path.read_text(encoding="utf-8") for path in SEEDS.glob("000_*.txt"))
    found = {code for group in re.findall(r'"error_code": "string \[([A-Z_|]+)\]', text) for code in group.split("|")}
    assert found, "the seed names codes"
    assert found <= {code.value for code in ErrorCode}
