"""Files, folders and patterns of every format: what is read, under which name, and what the ledger says of the rest."""

from __future__ import annotations

import gzip
import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from loquela.core.errors import DataError, ErrorCode
from loquela.data.access.source_registry import source_for
from loquela.data.encoding.report import EncodingReport
from loquela.data.quarantine import Quarantine
from loquela.data.source_contract import DividedSource, SourceRequest
from loquela.data.tally import Tally, utf8_size
from loquela.recipe.schema import DataSection
from loquela.recipe.source_entry import SourceEntry

SHARED = Path(__file__).parents[2] / "../shared/data"
HTML = b"<html><body><h1>Title</h1><p>A paragraph of the page.</p></body></html>"
Ask = Callable[..., SourceRequest]


@pytest.fixture
def ask(tmp_path: Path) -> Ask:
    def asked(address: object, documents: dict[str, str] | None = None, **entry: object) -> SourceRequest:
        written = SourceEntry.model_validate({"address": str(address), **entry})
        section = DataSection.model_validate({"sources": [written], "documents": documents or {}})
        reports: list[EncodingReport] = []
        return SourceRequest(
            written, section, tmp_path / "down", quarantine=Quarantine(tmp_path / "q"), report=reports.append
        )

    return asked


def read(request: SourceRequest) -> tuple[list[tuple[str, str]], Tally]:
    """Name and text of everything, counted as the corpus counts it; the ledger must add up so far."""
    tally = Tally()
    found = []
    for text in source_for(request.address).read(request, tally):
        content = "".join(text.pieces)
        tally.leave("decode", utf8_size(content), 1)
        found.append((text.name, content))
    for arrow in tally.arrows()[:2]:
        assert arrow.bytes_in + sum(change.bytes for change in arrow.changes) == arrow.bytes_out, arrow
        assert arrow.items_in + sum(change.items for change in arrow.changes) == arrow.items_out, arrow
    return found, tally


def changes(tally: Tally, arrow: str) -> dict[str, tuple[int, int]]:
    [found] = [each for each in tally.arrows() if each.arrow == arrow]
    return {change.reason: (change.bytes, change.items) for change in found.changes}


def zip_of(files: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return out.getvalue()


def test_one_file_of_each_kind(ask: Ask, tmp_path: Path) -> None:
    record = json.dumps({"text": "uno"}).encode()
    for name, data, expected in (
        ("a.txt", b"uno\r\n", ["uno\n"]),
        ("without_suffix", b"uno\n", ["uno\n"]),
        ("a.jsonl", record + b"\n" + record, ["uno", "uno"]),
        ("a.json", b"[" + record + b"]", ["uno"]),
        ("a.csv", b'text,n\n"uno, dos",1\ntres,2\n', ["uno, dos", "tres"]),
        ("a.tsv", b"text\tn\nuno\t1\n", ["uno"]),
        ("a.jsonl.gz", gzip.compress(record), ["uno"]),
        ("no.suffix", gzip.compress(b"uno\n"), ["uno\n"]),
        ("a.html", HTML, ["# Title\n\nA paragraph of the page.\n"]),
        ("a.zip", zip_of({"b.txt": b"uno\n", "c/d.jsonl": record, "e.jpg": b"\xff\xd8"}), ["uno\n", "uno"]),
    ):
        (tmp_path / name).write_bytes(data)
        found, _ = read(ask(tmp_path / name))
        assert [text for _, text in found] == expected, name


def test_members_of_an_archive_have_names_of_their_own(ask: Ask, tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(zip_of({"b.txt": b"uno\n", "c/d.txt": b"dos\n", "e.jpg": b"\xff\xd8\xff"}))
    found, tally = read(ask(tmp_path / "a.zip", name="books"))
    assert found == [("books/a.zip!/b.txt", "uno\n"), ("books/a.zip!/c/d.txt", "dos\n")]
    assert changes(tally, "read")["not_a_text_suffix"] == (-3, -1)


def test_declared_format_and_encoding_hold(ask: Ask, tmp_path: Path) -> None:
    (tmp_path / "a.log").write_bytes('{"text": "año"}\n'.encode("iso-8859-1"))
    found, _ = read(ask(tmp_path / "a.log", format="jsonl", encoding="iso-8859-1"))
    assert found == [(str(tmp_path / "a.log"), "año")]
    with pytest.raises(DataError, match="is declared as parquet, but its bytes are no parquet"):
        read(ask(tmp_path / "a.log", format="parquet"))


def test_text_column_labels_and_split_key(ask: Ask, tmp_path: Path) -> None:
    rows = [{"body": "uno", "topic": "sea", "book": 7, "x": 1}, {"body": "dos", "topic": None, "book": 7}]
    (tmp_path / "a.jsonl").write_text("\n".join(map(json.dumps, rows)))
    request = ask(tmp_path / "a.jsonl", text="body", labels=["topic"], split_by="book", language="es")
    texts = [
        ("".join(text.pieces), text.language, text.split_key, dict(text.labels), text.record)
        for text in source_for(request.address).read(request, Tally())
    ]
    assert texts == [("uno", "es", "7", {"topic": "sea"}, 1), ("dos", "es", "7", {"topic": "null"}, 2)]
    with pytest.raises(DataError, match="none of the 2 records of .*a.jsonl has the field 'boook'"):
        read(ask(tmp_path / "a.jsonl", text="body", split_by="boook"))


def test_a_record_knows_its_bytes(ask: Ask, tmp_path: Path) -> None:
    data = b'{"text": "uno"}\n{"text": "dos"}\n'
    (tmp_path / "a.jsonl.gz").write_bytes(gzip.compress(data))
    request = ask(tmp_path / "a.jsonl.gz")
    texts = [
        (text.raw_bytes, text.record)
        for text in source_for(request.address).read(request, Tally())
        if list(text.pieces)
    ]
    assert [data[start:end].strip() for (start, end), _ in texts if start >= 0] == data.splitlines()
    (tmp_path / "a.txt").write_bytes("\ufeffaño\r\ndos".encode())
    [text] = source_for("x").read(ask(tmp_path / "a.txt"), Tally())
    assert "".join(text.pieces) == "año\ndos"
    assert text.raw_span is not None and text.raw_span(0, 4) == (3, 9)


def test_a_folder_reads_what_it_knows_and_counts_the_rest(ask: Ask, tmp_path: Path) -> None:
    root = tmp_path / "texts"
    root.mkdir()
    (root / "a.txt").write_bytes(b"uno\n")
    (root / "b.jsonl.gz").write_bytes(gzip.compress(b'{"text": "dos"}\n{"text": "tres"}\n'))
    (root / "c.html").write_bytes(HTML)
    (root / "d.jpg").write_bytes(b"\xff\xd8\xff")
    (root / "e.pdf").write_bytes(b"%PDF-1.4\nnothing of a document\n%%EOF")
    request = ask(root)
    source = source_for(str(root))
    assert source.check(request).texts == 4
    found, tally = read(request)
    names = [name.removeprefix(f"{root}/") for name, _ in found]
    assert names == ["a.txt", "b.jsonl.gz", "b.jsonl.gz", "c.html"]
    reasons = changes(tally, "read")
    assert reasons["not_a_text_suffix"] == (-3, -1)
    [document] = [reason for reason in reasons if reason.startswith("document_")]
    assert reasons[document] == (-(root / "e.pdf").stat().st_size, -1)
    [line] = (tmp_path / "q" / "quarantine.jsonl").read_text().splitlines()
    assert json.loads(line)["object"] == f"{root}/e.pdf" and json.loads(line)["reason"]
    with pytest.raises(DataError, match="e.pdf"):
        read(ask(root / "e.pdf"))


def test_some_objects_alone(ask: Ask, tmp_path: Path) -> None:
    for name in ("a.txt", "b.txt", "c.jpg"):
        (tmp_path / name).write_text(name)
    request = ask(f"{tmp_path}/*.*")
    source = source_for(request.address)
    assert isinstance(source, DividedSource)
    objects = source.objects(request)
    assert [(found.name, found.size_bytes) for found in objects] == [
        (f"{tmp_path}/{name}", 5) for name in ("a.txt", "b.txt", "c.jpg")
    ]
    part = SourceRequest(request.entry, request.section, tmp_path, objects=(objects[1].name, objects[2].name))
    found, tally = read(part)
    assert found == [(f"{tmp_path}/b.txt", "b.txt")]
    assert changes(tally, "read") == {"not_a_text_suffix": (-5, -1)}


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("*.txt", ["a.txt"]),
        ("**/*.txt", ["a.txt", "d/b.txt", "d/e/c.txt"]),
        ("d/*.txt", ["d/b.txt"]),
        ("?/[bc].txt", ["d/b.txt"]),
        ("glob:**/c.*", ["d/e/c.txt"]),
    ],
)
def test_patterns(ask: Ask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pattern: str, expected: list[str]) -> None:
    for name in ("a.txt", "d/b.txt", "d/e/c.txt", ".hidden.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    monkeypatch.chdir(tmp_path)
    found, _ = read(ask(pattern))
    assert [name for name, _ in found] == expected
    assert source_for(pattern).fingerprint(ask(pattern)).texts == len(expected)


def test_a_pattern_that_fits_nothing(ask: Ask, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no file fits the pattern .*\*\*/\*.txt") as caught:
        source_for(f"{tmp_path}/**/*.txt").check(ask(f"{tmp_path}/**/*.txt"))
    assert caught.value.code == ErrorCode.DATA_NOT_FOUND
    (tmp_path / "odd[1].txt").write_text("x")
    found, _ = read(ask(tmp_path / "odd[1].txt"))
    assert found == [(str(tmp_path / "odd[1].txt"), "x")]


def test_fingerprints_follow_bytes_and_names(ask: Ask, tmp_path: Path) -> None:
    root = tmp_path / "texts"
    root.mkdir()
    (root / "a.jsonl").write_text('{"text": "uno"}')
    request = ask(root)
    source = source_for(str(root))
    before = source.fingerprint(request)
    (root / "note.jpg").write_text("not read")
    assert source.fingerprint(request) == before
    (root / "a.jsonl").write_text('{"text": "dos"}')
    assert source.fingerprint(request) != before


@pytest.mark.skipif(not SHARED.exists(), reason="the material in ../shared/data is not here")
def test_every_document_of_the_material_is_read_or_set_aside_with_a_reason(ask: Ask, tmp_path: Path) -> None:
    for line in (SHARED / "documents" / "manifest.jsonl").read_text(encoding="utf-8").splitlines():
        told = json.loads(line)
        path = SHARED / told["file"]
        entry = {"language": told["lang"]} if "lang" in told else {}
        if path.suffix == ".json":
            entry["text"] = "original"
        try:
            found, _ = read(ask(path, **entry))
        except DataError as error:
            assert "expect" in told, (path, error.message)
            assert error.remedy
            continue
        text = "\n".join(content for _, content in found)
        assert all(part in text for part in told.get("must_contain", [])), path


MARKDOWN = "# The boat\n\nIt is **red** and lies on the `shore`.\n\n- one oar\n- two sails\n"


@pytest.mark.parametrize("name", ["boat.md", "boat.markdown"])
@pytest.mark.parametrize("place", ["folder", "zip", "alone"])
def test_markdown_files_keep_their_marks_or_lose_them_as_the_recipe_asks(
    ask: Ask, tmp_path: Path, name: str, place: str
) -> None:
    folder = tmp_path / "notes"
    folder.mkdir()
    if place == "zip":
        (folder / "notes.zip").write_bytes(zip_of({name: MARKDOWN.encode()}))
    else:
        (folder / name).write_text(MARKDOWN)
    address = folder / name if place == "alone" else folder

    def text(markup: str, **entry: object) -> str:
        found, _ = read(ask(address, {"markup": markup}, **entry))
        assert len(found) == 1
        return found[0][1]

    assert text("markdown") == MARKDOWN
    assert text("plain").split() == "The boat It is red and lies on the shore. one oar two sails".split()
    assert text("plain", format="txt") == MARKDOWN
    assert text("plain", format="markdown") == text("plain")
