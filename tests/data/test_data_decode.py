"""Bytes to text: marks, line ends, declared encodings, and the place of every byte that is wrong."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loquela.core.errors import DataError, ErrorCode
from loquela.data.encoding.decode import decode
from loquela.data.tally import ARROWS, Tally, utf8_size


def _decode(data: bytes, size: int = 1 << 20, declared: str | None = None) -> tuple[str, dict[str, int]]:
    """Text and the changes by reason, after the ledger's own check of this arrow."""
    tally = Tally()
    chunks = [data[start : start + size] for start in range(0, len(data), size)]
    text = "".join(decode(chunks, "a.txt", tally, declared=declared))
    tally.enter("read", len(data))
    tally.leave("read", len(data))
    tally.leave("decode", utf8_size(text))
    for arrow in ARROWS[2:]:
        tally.enter(arrow, utf8_size(text))
        tally.leave(arrow, utf8_size(text))
    ledger = tally.ledger()
    return text, {change.reason: change.bytes for change in ledger.arrows[1].changes}


@given(
    text=st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=60),
    size=st.integers(1, 7),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
)
@settings(max_examples=60, deadline=None)
def test_text_comes_back_whatever_the_chunks(text: str, size: int, encoding: str) -> None:
    if sum(sign < " " or sign == "\x7f" for sign in text) or text.startswith("\ufeff"):
        return  # judged as binary or read as a mark, by the tests below
    data = text.encode(encoding)
    assert _decode(data, max(size, 3) if encoding == "utf-8-sig" else max(size, 2))[0] == text


@pytest.mark.parametrize("size", [1, 2, 3, 100])
def test_line_ends_become_lf_and_are_counted(size: int) -> None:
    assert _decode(b"a\r\nb\rc\n\r\n\r", size) == ("a\nb\nc\n\n\n", {"crlf_to_lf": -2})


def test_marks_and_transcoding_are_counted() -> None:
    assert _decode(b"\xef\xbb\xbfa\xc3\xb1o") == ("año", {"byte_order_mark": -3})
    # 3 characters: 6 bytes and a mark in UTF-16, 4 bytes in UTF-8
    assert _decode("año".encode("utf-16")) == ("año", {"byte_order_mark": -2, "utf-16-le_to_utf-8": -2})
    assert _decode(b"a\xf1o", declared="ISO-8859-1") == ("año", {"iso8859-1_to_utf-8": 1})
    assert _decode(b"a\xc3\xb1o", declared="us-ascii") == ("año", {})


@pytest.mark.parametrize("size", [1, 4, 100])
def test_wrong_byte_is_named_with_offset_line_and_command(size: int) -> None:
    with pytest.raises(DataError) as caught:
        _decode(b"uno\ndos\nma\xf1ana\n", size)
    error = caught.value
    assert error.code == ErrorCode.ENCODING_ERROR
    assert "a.txt is not UTF-8: byte 0xf1 at offset 10, line 3" in error.message
    assert error.remedy == "convert it: iconv -f ISO-8859-1 -t UTF-8 a.txt > a.txt.utf8"
    assert error.details["byte"] == 10


def test_windows_quotes_suggest_windows_1252() -> None:
    with pytest.raises(DataError, match="byte 0x93 at offset 0, line 1") as caught:
        _decode(b"\x93hola\x94 and more text")
    assert "iconv -f WINDOWS-1252" in caught.value.remedy


@pytest.mark.parametrize("size", [3, 100])
def test_one_bad_byte_among_good_ones_is_no_reason_to_convert_the_file(size: int) -> None:
    with pytest.raises(DataError, match="byte 0xe9 at offset 10, line 2") as caught:
        _decode("mañana\n".encode() + b"ca\xe9 y m\xc3\xa1s", size)
    assert caught.value.remedy == "correct line 2: what is before it is valid (to look at it: sed -n 2p a.txt | xxd)"


def test_text_cut_inside_a_character_is_refused() -> None:
    with pytest.raises(DataError, match=r"byte 0xc3 at offset 2, line 1 \(unexpected end of data\)"):
        _decode(b"ab\xc3", 2)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"text\nmore\0", "a NUL character at byte 9, line 2"),
        (b"text" + bytes(range(1, 8)), "7 control characters in the 11 bytes at byte 0"),
        ("a\0b".encode("utf-16"), "a NUL character at byte 4, line 1"),
    ],
)
def test_binary_data_is_refused(data: bytes, message: str) -> None:
    with pytest.raises(DataError, match="a.txt is binary or damaged, not text") as caught:
        _decode(data)
    assert message in caught.value.message
    assert caught.value.code == ErrorCode.CORRUPT_DATA


def test_unknown_declared_encoding_is_refused() -> None:
    with pytest.raises(DataError, match="a.txt declares the encoding 'klingon', which is unknown"):
        _decode(b"text", declared="klingon")
