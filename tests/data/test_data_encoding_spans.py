"""Characters back to bytes, exactly, with line ends and every kind of repair in between."""

from __future__ import annotations

import pytest
from reading_objects import spans_of

from loquela.data.encoding.decode import decode
from loquela.data.encoding.segments import SpanMap, segment
from loquela.data.tally import Tally
from loquela.recipe.encoding_section import EncodingSection

REPAIR = EncodingSection(on_invalid="repair")


def test_line_ends_marks_and_characters_of_many_bytes() -> None:
    data = "\ufeffañ\r\n日\r\rb\r\n😀".encode()
    stream, text = spans_of(data, EncodingSection(), size=4)
    assert text == "añ\n日\n\nb\n😀"
    raw = [data[slice(*stream.raw_span(place, place + 1))].decode() for place in range(len(text))]
    assert raw == ["a", "ñ", "\r\n", "日", "\r", "\r", "b", "\r\n", "😀"]


def test_repairs_map_to_what_they_came_from() -> None:
    good = "La señora de la casa.\n".encode() * 2
    bad = "El niño que comió allí.\n".encode("cp1252")
    junk = b"x\xff\0y\n"
    mojibake = "ma\u00c3\u00b1ana\n".encode()
    stream, text = spans_of(good + bad + junk + mojibake + b"end", REPAIR)
    assert text == good.decode() + bad.decode("cp1252") + "x\ufffd\ufffdy\nmañana\nend"
    place = text.index("niño")
    assert stream.raw_span(place, place + 4) == (len(good) + 3, len(good) + 7)
    start, place = len(good + bad), text.index("x\ufffd")
    assert [stream.raw_span(place + n, place + n + 1) for n in range(5)] == [
        (start + n, start + n + 1) for n in range(5)
    ]
    place = text.index("mañana")
    whole = (start + 5, start + 5 + len(mojibake))
    assert stream.raw_span(place, place + 2) == whole
    assert stream.raw_span(place + 2, place + 6) == whole
    assert stream.raw_span(text.index("end"), len(text)) == (whole[1], whole[1] + 3)
    assert stream.raw_span(len(text), len(text)) == (whole[1] + 3, whole[1] + 3)


def test_spans_over_several_segments_and_a_quarantined_line() -> None:
    data = "uno ñ\n".encode() * 3 + b"\xff\xfe\n" + "dos ñ\n".encode()
    stream, text = spans_of(data, EncodingSection())
    assert text == "uno ñ\n" * 3 + "dos ñ\n"
    assert stream.raw_span(12, 24) == (14, len(data))


def test_questions_go_forward_only_and_need_to_be_announced() -> None:
    stream, _ = spans_of("año de nieves".encode(), EncodingSection())
    assert stream.raw_span(4, 6) == (5, 7)
    with pytest.raises(ValueError, match="character 1 lies before 6, asked before"):
        stream.raw_span(1, 2)
    silent = decode([b"text"], "a", Tally())
    assert "".join(silent) == "text"
    with pytest.raises(ValueError, match="raw spans are kept when decode is called with spans=True"):
        silent.raw_span(0, 1)


def test_the_map_forgets_what_has_been_asked() -> None:
    spans = SpanMap()
    for number in range(100):
        spans.add(segment(number * 10, number * 10 + 10, "0123456789", "utf-8"))
        assert spans.bytes_of(number * 10, number * 10 + 10) == (number * 10, number * 10 + 10)
    assert len(spans._segments) == 1
