"""Records of csv, tsv, parquet and Arrow files."""

from __future__ import annotations

import io
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reading_objects import read

from loquela.core.errors import DataError, ErrorCode, ResourceError
from loquela.data.reading.csv_records import delimiter_of


def test_quotes_line_ends_and_places(tmp_path: Path) -> None:
    data = b'id,text,lang\r\n1,"Dijo ""hola"",\r\ny se fue",es\r\n2,dos,en\r\n\r\n'
    found = read(data, "csv", tmp_path)
    assert [(record.text, record.fields) for record in found.records] == [
        ('Dijo "hola",\ny se fue', {"id": "1", "lang": "es"}),
        ("dos", {"id": "2", "lang": "en"}),
    ]
    assert data[found.records[0].start : found.records[0].end] == b'1,"Dijo ""hola"",\r\ny se fue",es\r\n'
    assert found.changes["header"] == (-14, 0)
    assert found.changes["blank_lines"] == (-2, 0)
    assert list(found.report.notes) == ["delimiter ','", "header: id, text, lang", "text from the column 'text'"]


@pytest.mark.parametrize(
    ("rows", "delimiter"),
    [
        ("a,b\n1,2\n", ","),
        ("a;b;c\n1;2,5;3\n4;5,5;6\n", ";"),
        ("a\tb\n1\t2\n", "\t"),
        ("a|b\nx, y|z\nq, r, s|t\n", "|"),
        ("text\nOne, two\nthree\n", ","),
        ("", ","),
    ],
)
def test_the_delimiter_is_found_in_the_rows(rows: str, delimiter: str) -> None:
    assert delimiter_of(rows) == delimiter


def test_rows_with_another_number_of_fields_are_set_aside(tmp_path: Path) -> None:
    found = read(b"id;text\n1;a\n2;b;c\n3\n4;d\n5;e\n", "csv", tmp_path)
    assert found.texts == ["a", "d", "e"]
    assert [line["reason"] for line in found.quarantined] == [
        "it has 3 fields, the header has 2",
        "it has 1 fields, the header has 2",
    ]
    assert [line["record"] for line in found.quarantined] == [2, 3]


def test_a_quote_that_never_closes_costs_its_line(tmp_path: Path) -> None:
    data = b'id,text\n1,a\n2,"open\n3,b\n4,"c\nd"\n5,e\n'
    found = read(data, "csv", tmp_path)
    assert found.texts == ["a", "e"]
    late = read(b'id,text\n1,a\n2,b\n3,"open\n4,c\n5,d\n', "csv", tmp_path / "late")
    assert late.texts == ["a", "b", "c", "d"]
    assert [(line["reason"], line["start"]) for line in late.quarantined] == [("a quote is not closed", 16)]


def test_a_row_longer_than_the_limit_costs_its_first_line(tmp_path: Path) -> None:
    rows = b"".join(b"%d,text of row %d\n" % (n, n) for n in range(40))
    found = read(b'id,text\n0,"open\n' + rows, "csv", tmp_path, max_record_bytes=200)
    assert len(found.records) == 40
    assert found.quarantined[0]["reason"] == "a quote is not closed within 200 bytes"
    long = read(b"id,text\n1,a\n2," + b"x" * 300 + b"\n3,c\n4,d\n", "csv", tmp_path / "long", max_record_bytes=200)
    assert long.texts == ["a", "c", "d"]
    assert long.quarantined[0]["reason"] == "it is longer than 200 bytes"


def test_a_bad_byte_in_a_row_of_two_lines_costs_the_row(tmp_path: Path) -> None:
    good = 'n,"línea\nseñora"\n'.encode() * 4
    found = read(b"id,text\n" + good + b'n,"one\n\xff two"\n' + good, "csv", tmp_path)
    assert found.texts == ["línea\nseñora"] * 8
    (line,) = found.quarantined
    assert (line["start"], line["end"]) == (8 + len(good), 8 + len(good) + len(b'n,"one\n\xff two"\n'))


def test_csv_in_other_encodings(tmp_path: Path) -> None:
    rows = "id;texto\n" + "".join(f"{n};El niño y la señora número {n}\n" for n in range(30))
    for encoding in ("cp1252", "utf-16", "utf-8-sig"):
        found = read(rows.encode(encoding), "csv", tmp_path)
        assert found.texts[29] == "El niño y la señora número 29", encoding
    assert read(rows.encode("utf-16-le"), "csv", tmp_path).report.encoding == "utf-16-le"


def test_headers_that_cannot_be_used(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="header of a.csv .line 1. cannot be used: the column 'a' stands there twice"):
        read(b"a,b,a\n1,2,3\n", "csv", tmp_path)
    with pytest.raises(DataError, match="a.csv has no column 'txt'; did you mean 'text'") as caught:
        read(b"id,text\n1,2\n", "csv", tmp_path, text="txt")
    assert caught.value.code == ErrorCode.INVALID_SOURCE
    assert read(b"", "csv", tmp_path).texts == []


def test_tsv_keeps_commas_and_needs_no_guess(tmp_path: Path) -> None:
    found = read(b"text\tn\na, b, c\t1\n", "tsv", tmp_path)
    assert found.texts == ["a, b, c"]
    assert read(b"text,x|n\na,b|1\n", "csv", tmp_path, delimiter="|", text="text,x").texts == ["a,b"]


@given(
    rows=st.lists(st.tuples(st.text('ab",\n; ñ', max_size=8), st.text('ab",\n', max_size=8)), min_size=1, max_size=6)
)
@settings(max_examples=60, deadline=None)
def test_what_csv_writes_is_read(rows: list[tuple[str, str]], tmp_path_factory: pytest.TempPathFactory) -> None:
    import csv

    sheet = io.StringIO(newline="")
    writer = csv.writer(sheet, lineterminator="\r\n", quoting=csv.QUOTE_ALL)
    writer.writerows([("text", "more"), *rows])
    data = sheet.getvalue().encode()
    found = read(data, "csv", tmp_path_factory.getbasetemp() / "csv", text_required=False, delimiter=",")
    assert [(record.text, record.fields["more"]) for record in found.records] == rows


# ── parquet and arrow ─────────────────────────────────────────────────────────────────────────────────


def table(rows: int = 5) -> pa.Table:
    texts = [f"texto {n} ñ" for n in range(rows)]
    texts[2] = None
    return pa.table({"id": range(rows), "content": texts, "when": pa.array([0] * rows, pa.timestamp("s"))})


def parquet(rows: int, group: int, compression: str = "none") -> bytes:
    sink = io.BytesIO()
    pq.write_table(table(rows), sink, row_group_size=group, compression=compression, use_dictionary=False)
    return sink.getvalue()


def arrow(rows: int, kind: str) -> bytes:
    sink = io.BytesIO()
    writer = (pa.ipc.new_file if kind == "file" else pa.ipc.new_stream)(sink, table(rows).schema)
    writer.write_table(table(rows), max_chunksize=2)
    writer.close()
    return sink.getvalue()


@pytest.mark.parametrize("kind", ["parquet", "file", "stream"])
def test_rows_of_tables(tmp_path: Path, kind: str) -> None:
    data = parquet(5, 2) if kind == "parquet" else arrow(5, kind)
    found = read(data, "parquet" if kind == "parquet" else "arrow", tmp_path)
    assert found.texts == ["texto 0 ñ", "texto 1 ñ", "texto 3 ñ", "texto 4 ñ"]
    assert [record.number for record in found.records] == [1, 2, 4, 5]
    assert found.records[3].fields == {"id": 4, "when": "1970-01-01 00:00:00"}
    assert (found.records[0].start, found.records[0].end, len(found.records[0].sha256)) == (-1, -1, 64)
    assert found.changes["record_without_text_quarantined"] == (0, -1)
    labels = read(data, "parquet" if kind == "parquet" else "arrow", tmp_path, fields=("id",), text="content")
    assert labels.records[0].fields == {"id": 0}


def test_a_damaged_row_group_costs_that_group(tmp_path: Path) -> None:
    data = bytearray(parquet(400, 100))
    place = data.index("texto 150 ñ".encode())
    start = data.rindex(b"texto 100", 0, place)
    data[start - 60 : start - 10] = b"\xff" * 50
    found = read(bytes(data), "parquet", tmp_path)
    assert len(found.records) + len(found.quarantined) == 400
    assert 290 <= len(found.records) < 400
    assert any("row group 1 is damaged" in line["reason"] for line in found.quarantined)


def test_tables_that_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for format, data in (("parquet", b"PAR1 and no more"), ("arrow", arrow(5, "file")[:150])):
        with pytest.raises(DataError, match=f"a.{format} is no whole {format} file: ") as caught:
            read(data, format, tmp_path)
        assert caught.value.code == ErrorCode.CORRUPT_DATA
    with pytest.raises(DataError, match="the column 'id' of a.parquet holds int64, no text"):
        read(parquet(5, 2), "parquet", tmp_path, text="id")
    with pytest.raises(DataError, match="a.arrow has no column 'contents'; did you mean 'content'"):
        read(arrow(5, "stream"), "arrow", tmp_path, text="contents")
    monkeypatch.setitem(__import__("sys").modules, "pyarrow.parquet", None)
    with pytest.raises(ResourceError, match="reading parquet and arrow files needs the package pyarrow"):
        read(parquet(5, 2), "parquet", tmp_path)
