"""What becomes of bytes that are no text: stop, quarantine, repair; the ledger balances and every place is told."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from reading_objects import decoded, spans_of

from loquela.core.errors import DataError, ErrorCode
from loquela.data.encoding import feed
from loquela.data.encoding.decode import decode
from loquela.data.encoding.report import EncodingReport
from loquela.data.quarantine import Quarantine
from loquela.data.tally import Tally
from loquela.recipe.encoding_section import EncodingSection

STOP = EncodingSection(on_invalid="stop")
QUARANTINE = EncodingSection()
REPAIR = EncodingSection(on_invalid="repair")
MIXED = (
    "La mañana de la señora.\n".encode() * 3 + "El niño que comió en la montaña.\n".encode("cp1252") + "Más.\n".encode()
)


def test_valid_utf8_is_untouched_by_every_policy() -> None:
    text = "Año, ñandú, “qué”: 日本 😀\ttab\n" * 50
    for policy in (STOP, QUARANTINE, REPAIR):
        found = decoded(text.encode(), policy)
        assert (found.text, found.changes, found.report.untouched) == (text, {}, True)


def test_a_whole_file_in_another_encoding_is_read_and_reported() -> None:
    text = "La mañana de la señora que comió en el jardín.\n"
    found = decoded(text.encode("cp1252") * 20, QUARANTINE)
    assert found.text == text * 20
    assert (found.report.encoding, found.report.invalid_count, found.report.quarantined) == ("cp1252", 0, 0)
    assert found.changes == {"cp1252_to_utf-8": 20 * 4}
    assert decoded(text.encode("cp1252"), QUARANTINE, declared="cp1252").report.evidence == "declared"
    with pytest.raises(DataError, match="is not UTF-8: byte 0xf1 at offset 5, line 1") as caught:
        decoded(text.encode("cp1252"), EncodingSection(on_invalid="stop", fallback=False))
    assert caught.value.code == ErrorCode.ENCODING_ERROR


def test_a_line_that_is_utf8_in_a_windows_file_is_read_as_utf8() -> None:
    old = "El niño que comió en la montaña.\n"
    found = decoded(old.encode("cp1252") * 9 + old.encode() + old.encode("cp1252"), QUARANTINE)
    assert found.text == old * 11
    assert found.report.notes == {"lines_that_are_utf-8": 1}


def test_a_mixed_file_by_policy() -> None:
    with pytest.raises(DataError, match="byte 0xf1 at offset 83, line 4") as caught:
        decoded(MIXED, STOP)
    assert caught.value.remedy.startswith("correct line 4")
    kept = decoded(MIXED, QUARANTINE)
    assert kept.text == "La mañana de la señora.\n" * 3 + "Más.\n"
    assert kept.changes == {"undecodable_line_quarantined": -33}
    assert [(place.offset, place.line, place.action) for place in kept.report.invalid] == [
        (83, 4, "quarantined"), (94, 4, "quarantined"), (107, 4, "quarantined"),
    ]  # fmt: skip
    mended = decoded(MIXED, REPAIR)
    assert "El niño que comió en la montaña.\n" in mended.text
    assert mended.report.repaired == {"line_read_as_cp1252": 1}
    assert mended.changes == {"cp1252_to_utf-8": 3}
    assert {place.action for place in mended.report.invalid} == {"cp1252"}


def test_what_no_encoding_reads_becomes_replacement_characters_one_by_one() -> None:
    data = "año uno\n".encode() + b"dos \xff\xfe y\0 tres\n" + b"\xed\xa0\x80 cuatro\n" + "fin ñ".encode()[:-1]
    found = decoded(data, REPAIR)
    assert found.text == "año uno\ndos \ufffd\ufffd y\ufffd tres\n\ufffd cuatro\nfin \ufffd"
    assert found.report.repaired == {"invalid_bytes_replaced": 5}
    assert [(place.offset, place.line, place.bytes_hex, place.reason) for place in found.report.invalid] == [
        (13, 2, "ff", "invalid start byte"),
        (14, 2, "fe", "invalid start byte"),
        (17, 2, "00", "a NUL character"),
        (24, 3, "eda080", "a UTF-16 surrogate"),
        (39, 4, "c3", "unexpected end of data"),
    ]
    assert found.changes == {"invalid_bytes_replaced": 5 * 3 - 7}


def test_quarantine_keeps_the_bytes_with_their_place(tmp_path: Path) -> None:
    quarantine, report = Quarantine(tmp_path / "new"), EncodingReport(object="a")
    data = MIXED.replace(b"\n", b"\r\n")
    text = "".join(decode([data], "b/a.txt", Tally(), policy=QUARANTINE, report=report, quarantine=quarantine))
    (line,) = [json.loads(line) for line in quarantine.path.read_text(encoding="utf-8").splitlines()]
    assert (line["object"], line["record"], line["reason"]) == ("b/a.txt", 4, "undecodable_line_quarantined")
    assert base64.b64decode(line["bytes_base64"]) == data[line["start"] : line["end"]]
    assert "montaña" not in text
    assert quarantine.count == report.quarantined == 1


def test_a_file_of_which_most_lines_do_not_decode_stops() -> None:
    with pytest.raises(DataError, match="a.txt is hardly text in UTF-8: 12 of its 14 bytes") as caught:
        decoded(b"a\n" + b"\xff\xfe\x81\n" * 3, QUARANTINE)
    assert caught.value.code == ErrorCode.ENCODING_ERROR


def test_the_report_keeps_a_hundred_places_and_counts_all() -> None:
    data = "línea válida y larga\n".encode() * 900 + b"\xff\xff\n" * 300
    report = decoded(data, QUARANTINE).report
    assert (len(report.invalid), report.invalid_count, report.quarantined) == (100, 600, 300)


def test_utf16_with_a_damaged_line() -> None:
    data = "uno\ndos\ntres\n".encode("utf-16-le")
    broken = b"\xff\xfe" + data[:8] + b"\x00\xd8" + data[8:]
    found = decoded(broken, QUARANTINE)
    assert found.text == "uno\ntres\n"
    assert [(place.offset, place.line) for place in found.report.invalid] == [(10, 2)]
    assert decoded(broken, REPAIR).text.startswith("uno\n\ufffd")


def test_a_long_faulty_line_is_taken_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed, "LONGEST_LINE", 64)
    data = "ñ".encode() * 100 + b"\xff" + "ñ".encode() * 400 + b"\r\nfin\n"
    results = [decoded(data, QUARANTINE, size=size) for size in (5, 70, 5000)]
    assert {result.text for result in results} == {"ñ" * (500 - 31) + "\nfin\n"}
    assert {result.report.invalid[0].line for result in results} == {1}


ATOMS = st.sampled_from(
    [
        "año\n".encode(), "mañana\r\n".encode("cp1252"), b"\0", b"\xff\xfe", b"\xed\xa0\x80", b"\r", b"\n", b"\r\n",
        b"a line of plain text, long enough\n", "ma\u00c3\u00b1ana".encode(), "한국어 문장\n".encode("cp949"), b"\xc3",
        "Привет\n".encode("cp1251"), b"\xef\xbb\xbf", "日本語\n".encode(), b"\x81", "😀".encode(), b"the of and to in ",
    ]
)  # fmt: skip
BYTES = st.one_of(st.binary(max_size=60), st.lists(ATOMS, max_size=12).map(b"".join))
POLICIES = st.builds(
    EncodingSection,
    on_invalid=st.sampled_from(["stop", "quarantine", "repair"]),
    fallback=st.booleans(),
    repair_mojibake=st.booleans(),
)
AS_IT_IS = EncodingSection(on_invalid="stop", fallback=False, repair_mojibake=False)


@given(data=BYTES, policy=POLICIES, sizes=st.lists(st.integers(1, 9), min_size=1, max_size=2))
@settings(max_examples=150, deadline=None)
def test_any_bytes_balance_and_chunks_do_not_matter(data: bytes, policy: EncodingSection, sizes: list[int]) -> None:
    """Never a traceback; the helper checks the ledger to the byte."""
    results = []
    for size in (1 << 20, *sizes):
        try:
            found = decoded(data, policy, size=size)
        except DataError as error:
            results.append((error.code, error.message))
            continue
        results.append((found.text, found.report.model_dump_json()))
        assert "\0" not in found.text
        assert "\r" not in found.text
    assert len(set(results)) == 1


@given(data=BYTES, policy=POLICIES, cuts=st.lists(st.integers(1, 5), min_size=1, max_size=30))
@example(data=b"\t\xef\xbb\xbf", policy=AS_IT_IS, cuts=[1, 1])
@example(data=b"\xef\xbb\xbf\xef\xbb\xbfa", policy=AS_IT_IS, cuts=[1, 1])
@settings(max_examples=150, deadline=None)
def test_spans_read_again_are_the_text(data: bytes, policy: EncodingSection, cuts: list[int]) -> None:
    try:
        stream, text = spans_of(data, policy, size=7)
    except DataError:
        return
    place = reached = 0
    for size in cuts:
        end = min(len(text), place + size)
        low, high = stream.raw_span(place, end)
        assert low <= high <= len(data)
        assert reached <= low or policy.repair_mojibake  # a mended line maps as a whole
        if not policy.repair_mojibake and is_utf8(data):
            again = data[low:high].decode().replace("\r\n", "\n").replace("\r", "\n")
            # A mark at the beginning is no text; anywhere else it is.
            assert (again.removeprefix("\ufeff") if low == 0 else again) == text[place:end]
        place, reached = end, high


def is_utf8(data: bytes) -> bool:
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return b"\0" not in data
