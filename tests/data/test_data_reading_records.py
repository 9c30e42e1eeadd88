"""Objects to records: one damaged record costs one record, whatever the format."""

from __future__ import annotations

import base64
import hashlib
import io
import json
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reading_objects import in_memory, read

from loquela.core.errors import DataError, ErrorCode, ResourceError
from loquela.data.encoding.report import EncodingReport
from loquela.data.reading.formats import format_of
from loquela.data.reading.json_elements import JsonElements
from loquela.data.reading.raw_records import raw_lines
from loquela.data.reading.records import ReadOptions, read_records
from loquela.data.source_object import SourceObject
from loquela.data.tally import Tally

THOUSAND = [
    json.dumps({"id": number, "text": f"línea {number}"}, ensure_ascii=False).encode() for number in range(1000)
]


def one_bad_byte() -> list[bytes]:
    lines = list(THOUSAND)
    lines[500] = lines[500].replace("í".encode(), b"\xed")
    return lines


@pytest.mark.parametrize("format", ["jsonl", "json"])
def test_one_bad_byte_costs_one_record(tmp_path: Path, format: str) -> None:
    """Where a well-known reader gives 488 of 1000."""
    joined = b"\n".join(one_bad_byte()) + b"\n" if format == "jsonl" else b"[" + b",\n".join(one_bad_byte()) + b"]\n"
    found = read(joined, format, tmp_path)
    assert [record.number for record in found.records] == [n for n in range(1, 1001) if n != 501]
    assert found.texts == [f"línea {n}" for n in range(1000) if n != 500]
    (line,) = found.quarantined
    place = joined.index(b"\xed")
    assert line["reason"] == f"it is not UTF-8: invalid continuation byte at byte {place}"
    assert (line["record"], line["object"]) == (501, f"a.{format}")
    assert base64.b64decode(line["bytes_base64"]) == joined[line["start"] : line["end"]]
    assert [(bad.offset, bad.line, bad.bytes_hex) for bad in found.report.invalid] == [(place, 501, "ed")]
    assert found.changes["undecodable_record_quarantined"] == (line["start"] - line["end"], -1)
    for record in found.records:
        raw = joined[record.start : record.end]
        assert json.loads(raw)["text"] == record.text
        assert hashlib.sha256(raw).hexdigest() == record.sha256
        assert record.fields == {"id": record.number - 1}


def test_stop_and_repair_by_the_policy(tmp_path: Path) -> None:
    data = b"\n".join(one_bad_byte())
    with pytest.raises(DataError, match=r"a.jsonl cannot be read at record 501 \(line 501, bytes ") as caught:
        read(data, "jsonl", tmp_path, policy="stop")
    assert caught.value.code == ErrorCode.ENCODING_ERROR
    assert caught.value.remedy.endswith("set data.encoding.on_invalid: quarantine to go on without it")
    found = read(data, "jsonl", tmp_path, policy="repair")
    assert found.texts == [f"línea {n}" for n in range(1000)]
    assert found.report.repaired == {"record_read_as_cp1252": 1}


def test_whole_jsonl_in_another_encoding_must_be_declared(tmp_path: Path) -> None:
    data = "".join(f'{{"text": "El niño número {n} y la señora"}}\n' for n in range(9)).encode("cp1252")
    with pytest.raises(DataError, match="a.jsonl is hardly jsonl: 9 of its 9 records cannot be used; first record 1"):
        read(data, "jsonl", tmp_path)
    found = read(data, "jsonl", tmp_path, declared="latin-1")
    assert found.texts[3] == "El niño número 3 y la señora"
    assert found.report.encoding == "iso8859-1"


def test_jsonl_as_it_comes(tmp_path: Path) -> None:
    """Marks, CRLF, blank lines, no last line end, a text as the whole value."""
    data = b'\xef\xbb\xbf{"text": "a\\r\\nb", "n": 1}\r\n\r\n  \n"plain"\n{"n": 2, "text": "c"}'
    found = read(data, "jsonl", tmp_path)
    assert [(record.text, record.fields, record.number) for record in found.records] == [
        ("a\nb", {"n": 1}, 1),
        ("plain", {}, 2),
        ("c", {"n": 2}, 3),
    ]
    assert found.changes["byte_order_mark"] == (-3, 0)
    assert found.changes["blank_lines"] == (-5, 0)
    assert found.changes["crlf_to_lf"] == (-1, 0)
    assert found.changes["object_into_records"] == (0, 2)
    assert data[found.records[2].start : found.records[2].end] == b'{"n": 2, "text": "c"}'


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b'{"text": "a", "text": "b"}', "the key 'text' stands twice in one object"),
        (b'{"text": "a"', "it is no JSON: Expecting ',' delimiter at character 13"),
        (b'{"text": "a", "v": ' + b"[" * 200 + b"]" * 200 + b"}", "it is nested deeper than 100 levels"),
        (b"[" * 100_000, "it is nested deeper than 100 levels"),
        (b'{"text": "\\ud83d"}', "a UTF-16 surrogate stands alone in it"),
        (b'{"text": "a\\u0000"}', "a NUL character stands in its text"),
        (b'{"text": "a", "v": ' + b"9" * 5000 + b"}", "a number is out of range: Exceeds the limit"),
        (b"[1, 2]", "it is a JSON list, no object and no text"),
        (b'{"text": 5}', "its field 'text' holds no text but int"),
        (b'{"title": "x"}', "it has no text"),
        (b'{"text": null}', "it has no text"),
        (b'{"text": "' + b"x" * 2000 + b'"}', "it is longer than 1000 bytes"),
    ],
)
def test_damaged_records_are_set_aside_with_the_reason(tmp_path: Path, line: bytes, reason: str) -> None:
    data = b'{"text": "first"}\n' + line + b'\n{"text": "last"}\n{"text": "really"}\n'
    limit = 1000 if b"xxx" in line else 1 << 20
    found = read(data, "jsonl", tmp_path, max_record_bytes=limit)
    assert found.texts == ["first", "last", "really"]
    assert found.quarantined[0]["reason"].startswith(reason)
    assert found.quarantined[0]["sha256"] == hashlib.sha256(line + b"\n").hexdigest()
    assert (found.quarantined[0]["start"], found.quarantined[0]["end"]) == (18, 18 + len(line) + 1)


def test_a_pair_of_surrogates_is_a_character_and_nan_is_null(tmp_path: Path) -> None:
    found = read(b'{"text": "\\ud83d\\ude00", "score": NaN, "most": -Infinity}', "jsonl", tmp_path)
    assert [(record.text, record.fields) for record in found.records] == [("😀", {"score": None, "most": None})]
    assert found.report.notes["NaN_or_infinity_read_as_null"] == 2


def test_the_text_field(tmp_path: Path) -> None:
    rows = b'{"id": 1, "Content": "a", "body": "b", "lang": "es"}\n' * 3
    assert read(rows, "jsonl", tmp_path).texts == ["a"] * 3
    assert read(rows, "jsonl", tmp_path).report.notes == {"text from the field 'Content'": 1}
    chosen = read(rows, "jsonl", tmp_path, text="body", fields=("lang",))
    assert [(record.text, record.fields) for record in chosen.records] == [("b", {"lang": "es"})] * 3
    with pytest.raises(
        DataError, match="has no field 'boddy'; did you mean 'body'[?]; there are: id, Content"
    ) as caught:
        read(rows, "jsonl", tmp_path, text="boddy")
    assert caught.value.code == ErrorCode.INVALID_SOURCE
    with pytest.raises(
        DataError, match=r"has no field with a usual name for text \(text, content, body, document, …\)"
    ):
        read(b'{"prompt": "a", "answer": "b"}\n' * 200, "jsonl", tmp_path)
    loose = read(b'{"prompt": "a"}\n', "jsonl", tmp_path, text_required=False)
    assert [(record.text, record.fields) for record in loose.records] == [(None, {"prompt": "a"})]


def test_a_record_without_the_field_before_those_with_it(tmp_path: Path) -> None:
    found = read(b'{"meta": 1}\n{"text": "a"}\n{"text": "b"}', "jsonl", tmp_path)
    assert found.texts == ["a", "b"]
    assert found.changes["record_without_text_quarantined"] == (-12, -1)


def test_json_documents(tmp_path: Path) -> None:
    whole = b' {\n "title": "t",\n "text": "one, [two] {three}"\n}\n'
    assert read(whole, "json", tmp_path).texts == ["one, [two] {three}"]
    array = b'\xef\xbb\xbf [ {"text": "a\\"]"} ,\n "b" , {"text": "c", "x": [1, {"y": 2}]} ] \n'
    found = read(array, "json", tmp_path)
    assert found.texts == ['a"]', "b", "c"]
    assert array[found.records[2].start : found.records[2].end] == b'{"text": "c", "x": [1, {"y": 2}]}'
    assert read(b"[]", "json", tmp_path).texts == []
    assert read(b"", "json", tmp_path).texts == []


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b'["a", "b", {"text": "cut', "the file ends inside it"),
        (b'["a", "b", ', "the array is not closed"),
        (b'["a", "b"] more', "more follows behind the closed array"),
        (b'["a", , "b"]', "an element is missing"),
    ],
)
def test_json_that_does_not_end_well(tmp_path: Path, data: bytes, reason: str) -> None:
    found = read(data, "json", tmp_path)
    assert found.texts[:2] == ["a", "b"]
    assert found.quarantined[0]["reason"] == reason


NESTED = st.recursive(st.text(max_size=9) | st.integers(), lambda inner: st.lists(inner, max_size=3))
LINES = st.lists(st.sampled_from([b"\n", b"\r\n", b"ab", b"0123456789" * 3]), max_size=12).map(b"".join)


@given(
    values=st.lists(NESTED, max_size=6),
    size=st.integers(1, 20),
    indent=st.sampled_from([None, 1]),
)
@settings(max_examples=80, deadline=None)
def test_elements_are_found_whatever_the_chunks(values: list, size: int, indent: int | None) -> None:
    data = json.dumps(values, indent=indent, ensure_ascii=False).encode()
    elements = JsonElements([data[start : start + size] for start in range(0, len(data), size)], 1 << 20)
    found = list(elements)
    assert [json.loads(raw.data) for raw in found] == values
    assert all(data[raw.start : raw.end] == raw.data for raw in found)
    assert elements.between == len(data) - sum(len(raw.data) for raw in found)


@given(
    data=st.lists(st.sampled_from([b"\n", b"\r\n", b"ab", b"0123456789" * 3]), max_size=12).map(b"".join),
    size=st.integers(1, 9),
)
@settings(max_examples=80, deadline=None)
def test_lines_join_to_the_data(data: bytes, size: int) -> None:
    found = list(raw_lines([data[start : start + size] for start in range(0, len(data), size)], 25))
    assert [(raw.start, raw.end) for raw in found] == [
        (sum(map(len, whole[:n])), sum(map(len, whole[: n + 1])))
        for whole in [data.splitlines(keepends=True)]
        for n in range(len(whole))
    ]
    for raw in found:
        assert raw.sha256 == hashlib.sha256(data[raw.start : raw.end]).hexdigest()
        assert (raw.problem is not None) == (raw.end - raw.start > 25)


def test_txt_lines(tmp_path: Path) -> None:
    found = read("uno\r\n\n dos ñ \nMañana, señora.".encode("cp1252"), "txt", tmp_path)
    assert found.texts == ["uno", " dos ñ ", "Mañana, señora."]
    assert found.report.encoding == "cp1252"
    wide = read("\ufeffuno\nãĊb\n".encode("utf-16-le"), "txt", tmp_path)
    assert wide.texts == ["uno", "ãĊb"]


def failing(error: OSError) -> SourceObject:
    class Stream(io.BytesIO):
        def read(self, size: int = -1) -> bytes:
            if self.tell():
                raise error
            return super().read(4)

    @contextmanager
    def open_at(offset: int):
        yield Stream(b'{"text": "a"}\n')

    return SourceObject("s3://b/a.jsonl", open_at)


def test_reads_that_fail() -> None:
    def records(error: OSError) -> list:
        report = EncodingReport(object="a")
        return list(read_records(failing(error), "jsonl", ReadOptions(), Tally(), report))

    with pytest.raises(DataError, match="reading s3://b/a.jsonl failed: Input/output error") as caught:
        records(OSError(5, "Input/output error"))
    assert caught.value.code == ErrorCode.READ_FAILED
    with pytest.raises(ResourceError, match="reading s3://b/a.jsonl took too long") as late:
        records(TimeoutError("timed out"))
    assert (late.value.code, late.value.retryable) == (ErrorCode.TIMEOUT, True)
    with pytest.raises(DataError, match="no such format 'xml'"):
        list(read_records(in_memory(b"", "a"), "xml", ReadOptions(), Tally(), EncodingReport(object="a")))


@pytest.mark.parametrize(
    ("name", "head", "format"),
    [
        ("a.jsonl", b'{"a": 1', "jsonl"),
        ("a.json", b'[{"a": 1}]', "json"),
        ("a.json", b'{"a": 1}\n{"a": 2}\n', "jsonl"),
        ("a.json", b'\xef\xbb\xbf{\n "a": 1}', "json"),
        ("a.JSON", b"", "json"),
        ("a.csv", b"a,b", "csv"),
        ("a.tsv", b"a\tb", "tsv"),
        ("a.bin", b"PAR1....", "parquet"),
        ("a.txt", b"ARROW1\0\0", "arrow"),
        ("dir.csv/notes", b"text", "txt"),
        ("books.zip!/alice.md", b"text", "txt"),
    ],
)
def test_formats(name: str, head: bytes, format: str) -> None:
    assert format_of(name, head, None) == format


def test_declared_formats() -> None:
    assert format_of("a.txt", b"{}", "jsonl") == "jsonl"
    with pytest.raises(DataError, match="no such format 'jsnl'; did you mean 'json") as caught:
        format_of("a", b"", "jsnl")
    assert caught.value.code == ErrorCode.UNSUPPORTED_FORMAT
    with pytest.raises(DataError, match="a is declared as csv, but its bytes are parquet"):
        format_of("a", b"PAR1", "csv")
    with pytest.raises(DataError, match="a is declared as parquet, but its bytes are no parquet"):
        format_of("a", b"text", "parquet")


def test_json_is_not_searched_byte_by_byte_in_utf_16(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="is json in UTF-16-LE; json is read in UTF-8") as caught:
        read(b"\xff\xfe" + '[{"text": "uno"}]'.encode("utf-16-le"), "json", tmp_path)
    assert caught.value.code == ErrorCode.ENCODING_ERROR
