"""Every document of the shared material, as its manifest says it should be read."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import JsonValue, TypeAdapter

from loquela.core.errors import DataError, ErrorCode
from loquela.data.documents.contract import LoadedDocument
from loquela.data.documents.load import DocumentReader
from loquela.recipe.document_section import DocumentOptions

MATERIAL = Path(__file__).parents[2] / "../shared/data"
pytestmark = pytest.mark.skipif(not MATERIAL.is_dir(), reason="the shared material is not on this machine")
ENTRY = TypeAdapter(dict[str, JsonValue])


def entries() -> list[dict[str, JsonValue]]:
    manifest = MATERIAL / "documents/manifest.jsonl"
    if not manifest.is_file():
        return []
    found = [ENTRY.validate_json(line) for line in manifest.read_text(encoding="utf-8").splitlines()]
    return [entry for entry in found if str(entry["file"]).split("/")[1] in ("pdf", "docx", "html")]


@pytest.fixture(scope="module")
def reader() -> Iterator[DocumentReader]:
    with DocumentReader(DocumentOptions()) as reader:
        yield reader


def load(reader: DocumentReader, name: str, password: str | None = None) -> LoadedDocument:
    return reader.load(MATERIAL / "documents" / name.removeprefix("documents/"), password=password)


READABLE = [entry for entry in entries() if "grayscale" not in str(entry["file"])]


@pytest.mark.parametrize("entry", READABLE, ids=lambda entry: str(entry["file"]))
def test_a_file_of_the_manifest(entry: dict[str, JsonValue], reader: DocumentReader) -> None:
    password = entry.get("password")
    document = load(reader, str(entry["file"]), password if isinstance(password, str) else None)
    wanted = entry.get("must_contain", [])
    assert isinstance(wanted, list)
    for text in wanted:
        assert str(text) in document.text
    assert document.text.strip()
    assert len(document.pages) == entry.get("pages", 0)
    assert all(document.text[page.start : page.end].strip() for page in document.pages)


def test_a_scan(reader: DocumentReader) -> None:
    with pytest.raises(DataError, match=r"is scanned: its 1 page\(s\) are images") as caught:
        load(reader, "pdf/grayscale-image.pdf")
    assert caught.value.code == ErrorCode.UNSUPPORTED_FORMAT


def test_a_password(reader: DocumentReader) -> None:
    with pytest.raises(DataError, match="opens with a password only") as caught:
        load(reader, "pdf/libreoffice-writer-password.pdf")
    assert caught.value.code == ErrorCode.AUTH_FAILED


def test_vertical_japanese_without_a_unicode_map(reader: DocumentReader) -> None:
    """The poem begins at the right; the engine alone finds 16 of its 60 lines, from the left."""
    document = load(reader, "pdf/jo.pdf")
    lines = [line.strip("\u3000") for line in document.text.split("\n") if line.strip()]
    assert lines[:4] == ["序", "わたくしといふ現象は", "假定された有機交流電燈の", "ひとつの青い照明です"]
    assert lines[-1].endswith("宮澤賢治") and len(lines) == 60


def test_arabic_is_read_by_the_engine_that_can(reader: DocumentReader) -> None:
    document = load(reader, "pdf/habibi.pdf")
    assert document.text == "حَبيبي habibi حَبيبي"
    assert "read with pypdf, because pypdfium2 gives garbled characters" in document.warnings[0]


def test_a_damaged_stream(reader: DocumentReader) -> None:
    document = load(reader, "pdf/zen_of_python_corrupted.pdf")
    assert document.warnings == ["1 compressed part(s) are damaged: text may be missing there"]
    assert document.text.count("\n") >= 20


def test_two_columns(reader: DocumentReader) -> None:
    text = " ".join(load(reader, "pdf/multicolumn.pdf").text.split())
    assert "nonummy eget, con- sectetuer id, vulputate a, magna" in text
    assert "fringilla ultrices. Phasellus eu tellus sit amet tortor gravida placerat." in text


def test_a_table_without_borders(reader: DocumentReader) -> None:
    """Words of the reference, in order: the share of them that the text has."""
    expected = (MATERIAL / "documents/pdf/SPARSE-2024-INV-1234_borderless_table.expected.md").read_text(
        encoding="utf-8"
    )
    wanted = [
        word for word in expected.replace("|", " ").replace("*", " ").replace("#", " ").split() if word.strip("-:")
    ]
    found = load(reader, "pdf/SPARSE-2024-INV-1234_borderless_table.pdf").text.split()
    same = sum(
        block.size for block in difflib.SequenceMatcher(None, wanted, found, autojunk=False).get_matching_blocks()
    )
    assert same / len(wanted) > 0.9


def test_text_boxes_and_tables_between_paragraphs(reader: DocumentReader) -> None:
    boxes = load(reader, "docx/textbox.docx").text
    assert len(boxes) > 1500 and boxes.count("If necessary, provide health education") == 1
    order = [
        load(reader, "docx/blk-paras-and-tables.docx").text.index(word) for word in ("Text before", "Between", "after")
    ]
    assert order == sorted(order)
    assert "[comment" not in load(reader, "docx/comments-rich-para.docx").text


def test_comments_are_labelled_on_request() -> None:
    with DocumentReader(DocumentOptions(docx_comments="label")) as reader:
        assert load(reader, "docx/comments-rich-para.docx").text.count("[comment by ") >= 2


def test_the_whole_page_and_its_metadata(reader: DocumentReader) -> None:
    duck = load(reader, "html/wiki_duck.html")
    assert "Duck is the common name for numerous species of waterfowl" in duck.text
    assert duck.metadata["title"] == "Duck - Wikipedia" and duck.metadata["language"] == "en"
    western = load(reader, "html/fake-html-cp1252.html")
    assert len(duck.text) > 25_000
    with DocumentReader(DocumentOptions(html="main_text")) as selective:
        main = load(selective, "html/wiki_duck.html")
        blog = load(selective, "html/creativecommons_openness_in_ai.html").text
    assert "waterfowl" in main.text and "Main menu" not in main.text and "136 languages" not in main.text
    assert "bytes beside the main text were left out" in main.warnings[0] and main.metadata["title"]
    assert "broad coalition of civil society" in blog and "Skip to content" not in blog
    assert "15,50 €" in western.text and "read as cp1252" in western.warnings[0]


REFUSED = ("marianela_mixed_utf8_cp1252.txt", "marianela_invalid_bytes.txt")
REPAIRED = ("marianela_mojibake.txt", "ftfy_face.txt", "ftfy_in_the_wild.json")
TEXTS = sorted(path.name for path in MATERIAL.glob("documents/txt/*"))


@pytest.mark.parametrize("name", TEXTS)
def test_text_files_as_documents(name: str, reader: DocumentReader) -> None:
    """Decoded as the manifest says, or refused with the place, or repaired and said so."""
    lines = (MATERIAL / "documents/manifest.jsonl").read_text(encoding="utf-8").splitlines()
    entry = next(found for found in map(json.loads, lines) if found["file"].endswith("/" + name))
    path = MATERIAL / "documents/txt" / name
    if name in REFUSED:
        with pytest.raises(DataError) as caught:
            reader.load(path, "text/plain", language="es")
        assert caught.value.code in (ErrorCode.ENCODING_ERROR, ErrorCode.CORRUPT_DATA)
        assert "byte" in caught.value.message and "line" in caught.value.message
        return
    document = reader.load(path, "text/plain", language=entry.get("lang"))
    written = path.read_bytes().decode(entry.get("encoding", "utf-8")).replace("\r\n", "\n").replace("\r", "\n")
    if name in REPAIRED:
        assert document.text == written or any("repaired" in warning for warning in document.warnings)
        return
    assert document.text == written


def test_mojibake_is_undone_and_said(reader: DocumentReader) -> None:
    document = reader.load(MATERIAL / "documents/txt/marianela_mojibake.txt", language="es")
    assert "señor" in document.text and "Ã±" not in document.text
    assert any("repaired" in warning for warning in document.warnings)
