"""JSON that has one meaning."""

import json
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loquela.service.strict_json import DEEPEST, UnreadableBody, check_json

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**15), 10**15) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8", exclude_characters="\0")),
    lambda inner: st.lists(inner, max_size=4)
    | st.dictionaries(st.text(st.characters(codec="utf-8", exclude_characters="\0")), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(VALUES, st.booleans())
def test_every_value_that_json_has_is_let_through(value, escaped):
    check_json(json.dumps(value, ensure_ascii=escaped).encode())


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"{", "Expecting property name"),
        (b'{"a": 1,}', "Illegal trailing comma|Expecting property name"),
        (b"[1] [2]", "Extra data"),
        (b"[" * (DEEPEST + 1) + b"]" * (DEEPEST + 1), "nested more than 64 levels deep"),
        (b"[" * 1_000_000, "nested more than 64 levels deep"),
        (b'{"a": {"b": 1, "b": 2}}', "the key 'b' stands there twice"),
        (b'{"a": 1, "\\u0061": 2}', "the key 'a' stands there twice"),
        (b"[NaN]", "NaN is no number in JSON"),
        (b"[-Infinity]", "-Infinity is no number in JSON"),
        (b"[1e999]", "a number is too large"),
        (b"[" + b"9" * 5000 + b"]", "a number is too large"),
        (b'["\\ud800"]', "half a letter"),
        (b'{"\\u0000": 1}', "the letter NUL"),
        (b'["a\nb"]', "Invalid control character"),
        ('["é"]'.encode("latin-1"), "no UTF-8"),
        ('["a"]'.encode("utf-16"), "no UTF-8"),
        (b'\xef\xbb\xbf["a"]', "Unexpected UTF-8 BOM"),
    ],
    ids=range(17),
)
def test_what_could_be_read_in_two_ways_is_refused(body, why):
    with pytest.raises(UnreadableBody, match=f"the body cannot be read as JSON: .*({why})") as caught:
        check_json(body)
    assert caught.value.http_status == 422


@pytest.mark.parametrize("body", [b'["\\\\u0000 \\\\ud800"]', b'["\\ud83d\\ude00"]', b'"[[["', b"", b" "])
def test_what_only_looks_like_it_is_let_through(body):
    check_json(b"[" * 60 + b"0" + b"]" * 60)
    check_json(body)


@pytest.mark.parametrize("body", [b'"' + b'\\"' * 400_000, b'["' * 300_000, b'"\\' * 300_000, b"\\" * 600_000])
def test_a_long_text_without_an_end_is_gone_through_once(body):
    began = time.process_time()
    with pytest.raises(UnreadableBody):
        check_json(body)
    assert time.process_time() - began < 5
