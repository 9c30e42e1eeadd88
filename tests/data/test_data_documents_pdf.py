"""PDF: pages and spans, columns, hyphens, furniture, and a message of its own for every way it can fail."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pypdf
import pytest
from documents_made import PICTURE, VERTICAL_FONT, columns_of, lines_at, make_pdf, page_of

from loquela.core.errors import DataError, ErrorCode, ResourceError
from loquela.data.documents.contract import LoadedDocument
from loquela.data.documents.garbled import GARBLED, garbled_score
from loquela.data.documents.load import DocumentReader
from loquela.data.documents.pdf_layout import laid_out
from loquela.recipe.document_section import DocumentOptions

RIGHT, WRONG = "correct horse", "wrong"
PROSE = "It was the best of times, it was the worst of times,\nit was the age of wisdom, it was the age of foolishness."


@pytest.fixture(scope="module")
def reader() -> Iterator[DocumentReader]:
    with DocumentReader(DocumentOptions()) as reader:
        yield reader


def with_options(path: Path, **options: object) -> LoadedDocument:
    with DocumentReader(DocumentOptions.model_validate(options)) as reader:
        return reader.load(path)


def test_pages_and_their_spans(tmp_path: Path, reader: DocumentReader) -> None:
    path = make_pdf(tmp_path / "two.pdf", [page_of("First page.\nIts end."), page_of(""), page_of("Third.")], title="T")
    document = reader.load(path)
    assert document.text == "First page.\nIts end.\n\nThird."
    assert [(page.number, document.text[page.start : page.end]) for page in document.pages] == [
        (1, "First page.\nIts end."),
        (2, ""),
        (3, "Third."),
    ]
    assert document.pages_of(0, 3) == [1] and document.pages_of(5, len(document.text)) == [1, 3]
    assert document.metadata == {"title": "T"} and document.warnings == []


@pytest.mark.parametrize("engine", ["pypdfium2", "pypdf"])
def test_two_columns_are_read_one_after_the_other(tmp_path: Path, engine: str) -> None:
    left = [(72, 720 - 14 * row, f"left line {row}") for row in range(5)]
    right = [(320, 720 - 14 * row, f"right line {row}") for row in range(5)]
    text = with_options(make_pdf(tmp_path / "columns.pdf", [lines_at([*left, *right])]), pdf_engine=engine).text
    assert text.split("\n") == [line for _, _, line in [*left, *right]]


def test_columns_of_japanese_from_the_right(tmp_path: Path, reader: DocumentReader) -> None:
    """Of which the engine alone reads nothing: it takes each run to have no width."""
    lines = ["一行目である", "二行目がある", "三行目で終る"]
    document = reader.load(make_pdf(tmp_path / "columns.pdf", [columns_of(lines)], font=VERTICAL_FONT))
    assert document.text.split("\n") == lines and document.warnings == []


def test_hyphens_stay_unless_asked(tmp_path: Path) -> None:
    path = make_pdf(tmp_path / "hyphens.pdf", [page_of("The danger-\nous well-\nknown road; a well-known one.")])
    assert with_options(path).text == "The danger-\nous well-\nknown road; a well-known one."
    joined = with_options(path, join_hyphens=True)
    assert joined.text == "The dangerous well-known road; a well-known one."
    assert joined.warnings == ["2 words divided by a hyphen at a line's end were joined"]
    assert with_options(path, join_hyphens=True, pdf_engine="pypdf").text == joined.text


def test_page_furniture_stays_unless_asked(tmp_path: Path) -> None:
    pages = [
        page_of(f"THE SIEGE {number}\nText of page {number} stays\nhere whole.\n{number}") for number in range(1, 6)
    ]
    path = make_pdf(tmp_path / "book.pdf", pages)
    assert with_options(path).text.count("THE SIEGE") == 5
    dropped = with_options(path, drop_page_furniture=True)
    assert dropped.text == "\n\n".join(f"Text of page {number} stays\nhere whole." for number in range(1, 6))
    assert dropped.warnings == ["10 lines of running headers, footers and page numbers were dropped"]


def test_a_year_on_its_own_line_of_a_single_page_is_no_page_number() -> None:
    assert laid_out(["1914\nThe war began"], DocumentOptions(drop_page_furniture=True)) == (["1914\nThe war began"], [])


def test_a_scanned_document_needs_recognition(tmp_path: Path, reader: DocumentReader) -> None:
    path = make_pdf(tmp_path / "scan.pdf", [PICTURE, PICTURE])
    with pytest.raises(DataError, match=r"is scanned: its 2 page\(s\) are images without a text layer") as caught:
        reader.load(path)
    assert caught.value.code == ErrorCode.UNSUPPORTED_FORMAT
    assert "ocrmypdf scan.pdf out.pdf" in caught.value.remedy


def test_some_scanned_pages_are_a_warning(tmp_path: Path, reader: DocumentReader) -> None:
    document = reader.load(make_pdf(tmp_path / "mixed.pdf", [page_of("Text."), PICTURE]))
    assert document.text == "Text."
    assert document.warnings == ["1 of 2 pages are images without text (OCR needed): 2"]


def test_blank_pages(tmp_path: Path, reader: DocumentReader) -> None:
    with pytest.raises(DataError, match=r"is empty: its 1 page\(s\) hold neither text nor images") as caught:
        reader.load(make_pdf(tmp_path / "blank.pdf", [b""]))
    assert caught.value.code == ErrorCode.INSUFFICIENT_DATA


@pytest.mark.parametrize("algorithm", ["RC4-128", "AES-256"])
def test_a_password(tmp_path: Path, reader: DocumentReader, algorithm: str) -> None:
    writer = pypdf.PdfWriter(make_pdf(tmp_path / "open.pdf", [page_of("Secret text.")]))
    writer.encrypt(RIGHT, algorithm=algorithm)
    locked = tmp_path / "locked.pdf"
    writer.write(locked)
    with pytest.raises(DataError, match="is encrypted: it opens with a password only") as caught:
        reader.load(locked)
    assert caught.value.code == ErrorCode.AUTH_FAILED and "password_credential" in caught.value.remedy
    with pytest.raises(DataError, match="the password of data.documents.password_credential does not open it"):
        reader.load(locked, password=WRONG)
    assert reader.load(locked, password=RIGHT).text == "Secret text."
    with DocumentReader(DocumentOptions(pdf_engine="pypdf")) as pure:
        assert pure.load(locked, password=RIGHT).text == "Secret text."
        with pytest.raises(DataError, match="is encrypted"):
            pure.load(locked)


def test_a_protection_that_nobody_knows(tmp_path: Path, reader: DocumentReader) -> None:
    writer = pypdf.PdfWriter(make_pdf(tmp_path / "open.pdf", [page_of("Secret text.")]))
    writer.encrypt(RIGHT, algorithm="RC4-128")
    writer.write(tmp_path / "locked.pdf")
    strange = (tmp_path / "locked.pdf").read_bytes().replace(b"/Filter /Standard", b"/Filter /Strangers")
    (tmp_path / "strange.pdf").write_bytes(strange)
    with pytest.raises(DataError, match="is protected by an encryption scheme that no reader here knows") as caught:
        reader.load(tmp_path / "strange.pdf", password=RIGHT)
    assert caught.value.code == ErrorCode.AUTH_FAILED


def test_a_broken_table_is_mended_with_a_warning(tmp_path: Path, reader: DocumentReader) -> None:
    path = make_pdf(tmp_path / "broken.pdf", [page_of("Still here.")])
    sound = path.read_bytes()
    path.write_bytes(sound.replace(b"startxref\n", b"startxref\n9"))
    document = reader.load(path)
    assert document.text == "Still here."
    assert (
        len(document.warnings) == 1 and "its cross-reference table is broken (there is none at" in document.warnings[0]
    )
    path.write_bytes(sound.replace(b"%PDF-1.4\n", b"%PDF-1.4\n%a comment moves every object\n"))
    assert "cross-reference table is broken" in reader.load(path).warnings[0]
    path.write_bytes(sound[: sound.index(b"startxref")])
    ended, table = reader.load(path).warnings
    assert "the file does not end as a PDF does" in ended and "nothing points at it" in table


def test_a_damaged_stream_is_a_warning(tmp_path: Path, reader: DocumentReader) -> None:
    path = make_pdf(tmp_path / "stream.pdf", [page_of(PROSE)], compress=True)
    assert reader.load(path).warnings == []
    raw = path.read_bytes()
    end = raw.rindex(b"\nendstream")
    path.write_bytes(raw[: end - 4] + b"\0\0\0\0" + raw[end:])
    document = reader.load(path)
    assert document.text.startswith("It was the best")
    assert document.warnings == ["1 compressed part(s) are damaged: text may be missing there"]


def test_no_pdf_at_all(tmp_path: Path, reader: DocumentReader) -> None:
    path = tmp_path / "page.pdf"
    path.write_bytes(b"%PDF-1.7\nnothing of the kind")
    with pytest.raises(DataError, match="is a broken PDF") as caught:
        reader.load(path)
    assert caught.value.code == ErrorCode.CORRUPT_DATA
    path.write_bytes(b"<!DOCTYPE html><p>404")
    with pytest.raises(DataError, match="is called application/pdf but is not: it holds HTML"):
        reader.load(path)
    path.write_bytes(b"")
    with pytest.raises(DataError, match="is empty: it has 0 bytes"):
        reader.load(path)


def test_too_many_pages(tmp_path: Path) -> None:
    path = make_pdf(tmp_path / "long.pdf", [page_of("x")] * 3)
    with pytest.raises(DataError, match="says it has 3 pages; data.documents.pages_max is 2") as caught:
        with_options(path, pages_max=2)
    assert caught.value.code == ErrorCode.READ_FAILED
    path.write_bytes(path.read_bytes().replace(b"/Count 3", b"/Count 999999999"))
    with pytest.raises(DataError, match="says it has"):
        with_options(path, pages_max=2)


def test_fonts_that_hide_their_characters(tmp_path: Path) -> None:
    blocks = (0x03B1, 0x0561, 0x0430, 0x0628, 0x10D0)
    means = {code: blocks[code % 5] + code % 16 for code in range(ord("a"), ord("z") + 1)}
    path = make_pdf(tmp_path / "garbled.pdf", [page_of(PROSE)], means=means)
    for engine in ("auto", "pypdfium2", "pypdf"):
        with pytest.raises(DataError, match="gives garbled text .score") as caught:
            with_options(path, pdf_engine=engine)
        assert caught.value.code == ErrorCode.CORRUPT_DATA and "ocrmypdf --force-ocr" in caught.value.remedy
    kept = with_options(path, on_garbled="warn")
    assert len(kept.text) > 80 and "the text looks garbled" in kept.warnings[0]


@pytest.mark.parametrize(
    ("text", "language"),
    [
        (PROSE * 3, "en"),
        ("El veloz murciélago hindú comía feliz cardillo y kiwi; ¡qué niño! " * 5, "es"),
        ("Съешь же ещё этих мягких французских булок, да выпей чаю. " * 5, "ru"),
        ("わたくしといふ現象は仮定された有機交流電燈のTシャツ。" * 5, "ja"),
        ("صِف خَلقَ خَودِ كَمِثلِ الشَمسِ إِذ بَزَغَت " * 5, "ar"),
        ("∀x ∈ ℝ: f(x) = μm · αβ, 3 µm and 𝑥² + π", None),
        ("SKU-8847 A-12 450\nB-07 289 -23", "en"),
        ("", "en"),
    ],
)
def test_sound_text_is_not_garbled(text: str, language: str | None) -> None:
    assert garbled_score(text, language) < GARBLED / 2


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("(cid:12)(cid:88) some (cid:9)", None),
        ("\ue001\ue002\ue003 and a word", None),
        ("Ã©tÃ© Ã  lâ€™Ã©cole", None),
        ("ɹɹং\nΘͨ͘͠ͱ͍;ݱਆΛ͘", None),
        ("wkh txlfn eurzq ira mxpsv ryhu wkh odcb grjv zlwk prvw ri klv irxu vsulqjb ohjv " * 4, "en"),
        ("Съешь же ещё этих мягких французских булок да выпей чаю " * 8, "ja"),
        ("ةسردملا ىلإ دلولا بهذ ةقيدحلا يف " * 8, "ar"),
    ],
)
def test_garbled_text_is_found(text: str, language: str | None) -> None:
    assert garbled_score(text, language) >= GARBLED


def test_docling_that_is_not_installed(tmp_path: Path) -> None:
    path = make_pdf(tmp_path / "x.pdf", [page_of("x")])
    with pytest.raises(ResourceError, match="pdf_engine: docling needs the package docling") as caught:
        with_options(path, pdf_engine="docling")
    assert caught.value.code == ErrorCode.MISSING_EXTRA
    assert caught.value.remedy == 'pip install "loquela[docling]"'
