"""Personal data: found where it is, not where it only looks like it, and replaced by stable pseudonyms."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loquela.core.errors import ErrorCode, ResourceError
from loquela.data.validation.pii import Pseudonyms, find_pii
from loquela.data.validation.pii_proofs import is_card, is_dni, is_iban
from loquela.data.validation.verdict import Span
from loquela.recipe.validation_section import PiiKind, PiiOptions

KINDS: list[PiiKind] = [*get_args(PiiKind)]
CASES = Path(__file__).parents[2] / "../shared/data/webtext/pii_cases_made_here.jsonl"


def found(text: str) -> list[tuple[str, str]]:
    return [(span.kind, text[span.start : span.end]) for span in find_pii(text, KINDS)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Mail a.b+c@mail.example.co.uk!", [("email", "a.b+c@mail.example.co.uk")]),
        ("git clone git@code.example.com:team/x.git", []),
        ("ana arroba example punto com", [("email", "ana arroba example punto com")]),
        ("bob (at) example (dot) org", [("email", "bob (at) example (dot) org")]),
        ("look at example two of them", []),
        ("twitter: @someone, cost @ 3", []),
        ("+44 20 7946 0958 or 0034 612 345 678", [("phone", "+44 20 7946 0958"), ("phone", "0034 612 345 678")]),
        ("Fax: 415-555-0132. Móvil 612345678", [("phone", "415-555-0132"), ("phone", "612345678")]),
        ("reach us at 345-6789, built at 1914-1918", [("phone", "345-6789")]),
        ("612345678 units, pages 100-2000, 1914-1918, 03/05/1980", []),
        ("192.0.2.17 and fe80::1ff:fe23:4567:890a", [("ip", "192.0.2.17"), ("ip", "fe80::1ff:fe23:4567:890a")]),
        ("v10.2.3.4, release 1.2.3.4, 300.1.1.1, 12:30:45, std::dead::beef", []),
        ("5500-0000-0000-0004", [("credit_card", "5500-0000-0000-0004")]),
        ("4111 1111 1111 1112 and 0000 0000 0000 0000", []),
        ("IBAN GB82 WEST 1234 5698 7654 32 PLEASE", [("iban", "GB82 WEST 1234 5698 7654 32")]),
        ("GB82 WEST 1234 5698 7654 33", []),
        ("DNI 12.345.678-Z, NIE X1234567L", [("national_id", "12.345.678-Z"), ("national_id", "X1234567L")]),
        ("12345678A", []),
        ("SSN 123-45-6789 not 000-12-3456", [("national_id", "123-45-6789")]),
        ("key AKIAIOSFODNN7EXAMPLE", [("secret", "AKIAIOSFODNN7EXAMPLE")]),
        ("ghp_" + "a1" * 18, [("secret", "ghp_" + "a1" * 18)]),
    ],
)
def test_found_and_not_found(text: str, expected: list[tuple[str, str]]) -> None:
    assert found(text) == expected


@pytest.mark.skipif(not CASES.exists(), reason="the shared test data is not beside the checkout")
def test_every_shared_case() -> None:
    cases = [json.loads(line) for line in CASES.read_text(encoding="utf-8").splitlines()]
    assert len(cases) == 15
    for case in cases:
        # An obfuscated address is an address.
        wanted = [Span(s["type"].removesuffix("_obfuscated"), s["start"], s["end"]) for s in case["spans"]]
        assert find_pii(case["text"], KINDS) == wanted, case["text"]


def test_only_the_kinds_asked_for() -> None:
    text = "ana@example.com, 192.0.2.17"
    assert [span.kind for span in find_pii(text, ["ip"])] == ["ip"]
    assert find_pii(text, []) == []


def test_proofs_by_hand() -> None:
    # Luhn of 4111…1111: doubled digits 8+2*7 = 22, the others 8: 30.
    assert is_card("4111111111111111")
    assert not is_card("4111111111111121")
    # 12345678 modulo 23 is 14, the fifteenth letter of the table is Z.
    assert is_dni("12345678Z")
    assert not is_dni("12345678T")
    assert is_iban("ES9121000418450200051332")
    assert not is_iban("ES9121000418450200051333")
    assert not is_iban("ES912100041845020005133")


def test_pseudonyms_are_stable_keyed_and_blind_to_spelling() -> None:
    one, other = Pseudonyms(PiiOptions()), Pseudonyms(PiiOptions(seed=7))
    name = one.of("email", "ana@example.com")
    assert name == one.of("email", "ANA@Example.com")
    assert name == Pseudonyms(PiiOptions()).of("email", "ana@example.com")
    assert name != other.of("email", "ana@example.com")
    assert name != one.of("phone", "ana@example.com")
    assert one.of("iban", "ES91 2100 0418 4502 0005 1332") == one.of("iban", "es9121000418450200051332")
    assert one.of("phone", "(415) 555-0132") == one.of("phone", "415.555.0132")
    assert len(name) == len("<email-1a2b3c>")


def test_the_key_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    options = PiiOptions(key_environment="CORPUS_KEY")
    monkeypatch.delenv("CORPUS_KEY", raising=False)
    with pytest.raises(ResourceError, match="the environment variable CORPUS_KEY is not set") as caught:
        Pseudonyms(options)
    assert caught.value.code is ErrorCode.AUTH_FAILED
    monkeypatch.setenv("CORPUS_KEY", "s3cret")
    assert Pseudonyms(options).of("ip", "::1") != Pseudonyms(PiiOptions()).of("ip", "::1")


@settings(max_examples=80, deadline=None)
@given(st.text(alphabet="ab1234567890@.-+() :ESñ\n", max_size=120))
def test_spans_are_ordered_apart_and_replaceable(text: str) -> None:
    spans = find_pii(text, KINDS)
    assert all(one.end <= other.start for one, other in pairwise(spans))
    replaced = Pseudonyms(PiiOptions()).replace(text, spans)
    kept = "".join(
        text[a:b] for a, b in zip([0, *(s.end for s in spans)], [*(s.start for s in spans), len(text)], strict=True)
    )
    assert len(replaced) >= len(kept)
    assert all(f"<{span.kind}-" in replaced for span in spans)
