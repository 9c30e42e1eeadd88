"""Text is released only when no later token can change it."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loquela.inference.text_stream import Detokenizer, StopScanner
from toy_language import ByteTokenizer

BYTES = ByteTokenizer()


@settings(max_examples=60, deadline=None)
@given(before=st.text(max_size=20), text=st.text(max_size=30).filter(lambda text: "\ufffd" not in text))
def test_pieces_join_to_the_text_whatever_stood_before(before, text):
    detokenizer = Detokenizer(BYTES, BYTES.encode(before))
    pieces = [detokenizer.add(token) for token in BYTES.encode(text)]
    assert "".join(pieces) + detokenizer.finish() == text
    assert all("\ufffd" not in piece for piece in pieces)


def test_a_character_waits_for_its_last_byte():
    detokenizer = Detokenizer(BYTES)
    assert [detokenizer.add(token) for token in BYTES.encode("ñ€")] == ["", "ñ", "", "", "€"]


def test_an_unfinished_character_is_left_out_at_the_end():
    detokenizer = Detokenizer(BYTES)
    text = "".join(detokenizer.add(token) for token in BYTES.encode("año €")[:-1]) + detokenizer.finish()
    assert text == "año "


class RunTokenizer(ByteTokenizer):
    """Byte fallback as `tokenizers` does it: one bad byte spoils the whole run."""

    def decode(self, ids):
        data = bytes(token - 4 for token in ids if token >= 4)
        try:
            return data.decode("utf-8")
        except UnicodeDecodeError:
            return "\ufffd" * len(data)


def test_long_runs_of_byte_tokens_survive_a_decoder_that_spoils_whole_runs():
    text = "日本語の文章はバイトに分かれる" * 3
    detokenizer = Detokenizer(RunTokenizer(), BYTES.encode(text))
    assert "".join(detokenizer.add(token) for token in BYTES.encode(text)) == text


@pytest.mark.parametrize(
    ("stops", "expected"),
    [
        (["END"], "one EN two E"),
        (["two END", "two"], "one EN "),
        (["two", "w"], "one EN t"),
        ([" ", "one"], ""),
        (["absent"], "one EN two EEND three"),
        ([], "one EN two EEND three"),
    ],
)
def test_text_ends_exactly_before_the_first_stop_sequence(stops, expected):
    for width in (1, 2, 3, 50):
        scanner, text, got = StopScanner(stops), "one EN two EEND three", ""
        for start in range(0, len(text), width):
            got += scanner.add(text[start : start + width])
        got += scanner.finish()
        assert got == expected
        assert scanner.stopped == (expected != text)


@settings(max_examples=100, deadline=None)
@given(
    text=st.text("ab", max_size=30),
    stops=st.lists(st.text("ab", min_size=1, max_size=4), max_size=3),
    width=st.integers(1, 5),
)
def test_the_cut_is_before_the_sequence_complete_first_wherever_pieces_end(text, stops, width):
    scanner, got = StopScanner(stops), ""
    for start in range(0, len(text), width):
        got += scanner.add(text[start : start + width])
    got += scanner.finish()
    ends = [end for end in range(len(text) + 1) if any(text[:end].endswith(stop) for stop in stops)]
    if not ends:
        assert got == text
    else:
        longest = max(len(stop) for stop in stops if text[: ends[0]].endswith(stop))
        assert got == text[: ends[0] - longest]
