"""DOCX, EPUB and Markdown: what stands there in the order a reader meets it, and what is refused."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from documents_made import W, make_docx, make_epub

from loquela.core.errors import DataError, ErrorCode
from loquela.data.documents.contract import LoadedDocument
from loquela.data.documents.load import DocumentReader
from loquela.recipe.document_section import DocumentOptions


@pytest.fixture(scope="module")
def reader() -> Iterator[DocumentReader]:
    with DocumentReader(DocumentOptions()) as reader:
        yield reader


def with_options(path: Path, **options: object) -> LoadedDocument:
    with DocumentReader(DocumentOptions.model_validate(options)) as reader:
        return reader.load(path)


def p(text: str, properties: str = "") -> str:
    return f"<w:p><w:pPr>{properties}</w:pPr><w:r><w:t>{text}</w:t></w:r></w:p>"


def item(text: str, number: int, level: int = 0) -> str:
    return p(text, f'<w:numPr><w:ilvl w:val="{level}"/><w:numId w:val="{number}"/></w:numPr>')


STYLES = (
    '<w:style w:styleId="berschrift2"><w:name w:val="heading 2"/></w:style>'
    '<w:style w:styleId="Own"><w:basedOn w:val="berschrift2"/></w:style>'
    '<w:style w:styleId="T"><w:name w:val="Title"/></w:style>'
)
NUMBERING = (
    '<w:abstractNum w:abstractNumId="7"><w:lvl w:ilvl="0"><w:start w:val="3"/><w:numFmt w:val="decimal"/></w:lvl>'
    '<w:lvl w:ilvl="1"><w:numFmt w:val="bullet"/></w:lvl></w:abstractNum>'
    '<w:num w:numId="1"><w:abstractNumId w:val="7"/></w:num>'
)


def test_structure(tmp_path: Path, reader: DocumentReader) -> None:
    table = (
        f"<w:tbl><w:tr><w:tc>{p('a')}</w:tc>"
        f"<w:tc><w:tcPr><w:gridSpan w:val='2'/></w:tcPr>{p('b')}{p('c')}</w:tc></w:tr>"
        f"<w:tr><w:tc>{p('1')}</w:tc><w:tc>{p('2')}</w:tc><w:tc><w:p/></w:tc></w:tr></w:tbl>"
    )
    body = (
        p("Name", '<w:pStyle w:val="T"/>')
        + p("Part", '<w:pStyle w:val="Own"/>')
        + p("Before")
        + table
        + p("Between")
        + item("third", 1)
        + item("inner", 1, 1)
        + item("fourth", 1)
        + item("no item", 0)
        + f"<w:sdt><w:sdtContent>{p('in a control')}</w:sdtContent></w:sdt>"
    )
    document = reader.load(make_docx(tmp_path / "a.docx", body, styles=STYLES, numbering=NUMBERING))
    assert document.text == (
        "# Name\n\n## Part\n\nBefore\n\n| a | b c |  |\n| --- | --- | --- |\n| 1 | 2 |  |\n\nBetween\n\n"
        "3. third\n  - inner\n4. fourth\n\nno item\n\nin a control\n"
    )
    plain = with_options(tmp_path / "a.docx", markup="plain").text
    assert plain.startswith("Name\n\nPart\n\nBefore\n\na\tb c\t\n1\t2\t\n\nBetween\n\nthird\ninner\nfourth\n\n")


def test_what_is_read_and_what_not(tmp_path: Path, reader: DocumentReader) -> None:
    body = (
        "<w:p><w:r><w:t>kept </w:t></w:r><w:ins><w:r><w:t>inserted</w:t></w:r></w:ins>"
        "<w:del><w:r><w:delText>deleted</w:delText></w:r></w:del>"
        "<w:r><w:rPr><w:vanish/></w:rPr><w:t>hidden</w:t></w:r>"
        "<w:hyperlink><w:r><w:t> link</w:t></w:r></w:hyperlink>"
        "<w:r><w:instrText>PAGE</w:instrText><w:tab/><w:t>x</w:t><w:br/><w:t>y</w:t><w:noBreakHyphen/><w:t>z</w:t></w:r>"
        '<w:r><w:footnoteReference w:id="2"/></w:r></w:p>' + p("next")
    )
    separator = f'<w:footnote w:id="0" w:type="separator">{p("---")}</w:footnote>'
    footnotes = f'{separator}<w:footnote w:id="2">{p("A note.")}</w:footnote>'
    document = reader.load(make_docx(tmp_path / "a.docx", body, footnotes=footnotes))
    assert document.text == "kept inserted link\tx\ny\u2011z[^2]\n\nnext\n\n[^2]: A note.\n"
    assert document.warnings == ["1 runs of hidden text were left out"]


def test_text_boxes_follow_their_paragraph_once(tmp_path: Path, reader: DocumentReader) -> None:
    box = f"<w:txbxContent>{p('boxed')}</w:txbxContent>"
    body = (
        "<w:p><w:r><w:t>anchor</w:t></w:r><w:r>"
        '<mc:AlternateContent xmlns:mc="http://schemas.openxmlformats.org/markup-compatibility/2006">'
        f"<mc:Choice>{box}</mc:Choice><mc:Fallback>{box}</mc:Fallback></mc:AlternateContent></w:r></w:p>" + p("after")
    )
    assert reader.load(make_docx(tmp_path / "a.docx", body)).text == "anchor\n\nboxed\n\nafter\n"


def test_comments_are_left_out_or_labelled(tmp_path: Path, reader: DocumentReader) -> None:
    body = '<w:p><w:r><w:t>text</w:t></w:r><w:r><w:commentReference w:id="5"/></w:r></w:p>' + p("next")
    path = make_docx(tmp_path / "a.docx", body, comments=f'<w:comment w:id="5" w:author="Ana">{p("why?")}</w:comment>')
    assert reader.load(path).text == "text\n\nnext\n"
    assert with_options(path, docx_comments="label").text == "text\n\n[comment by Ana: why?]\n\nnext\n"


def test_a_table_that_only_arranges_text(tmp_path: Path, reader: DocumentReader) -> None:
    inner = f"<w:tbl><w:tr><w:tc>{p('in')}</w:tc><w:tc>{p('ner')}</w:tc></w:tr></w:tbl>"
    body = f"<w:tbl><w:tr><w:tc>{p('left')}{inner}</w:tc><w:tc>{p('right')}</w:tc></w:tr></w:tbl>"
    text = reader.load(make_docx(tmp_path / "a.docx", body)).text
    assert text == "left\n\n| in | ner |\n| --- | --- |\n\nright\n"


LAUGHS = '<!ENTITY l0 "lol">' + "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 9))


@pytest.mark.parametrize(
    ("declared", "message"),
    [
        (LAUGHS, "holds damaged XML: Maximum entity amplification"),
        ('<!ENTITY l8 "once">', "declares XML entities, which no document needs"),
        ('<!ENTITY l8 SYSTEM "file:///etc/passwd">', "declares XML entities, which no document needs"),
    ],
    ids=["billion laughs", "entity", "external entity"],
)
def test_attacks_with_entities(tmp_path: Path, reader: DocumentReader, declared: str, message: str) -> None:
    path = tmp_path / "lol.docx"
    body = "<w:body><w:p><w:r><w:t>&l8;</w:t></w:r></w:p></w:body>"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("word/document.xml", f"<!DOCTYPE d [{declared}]><w:document {W}>{body}</w:document>")
    with pytest.raises(DataError, match=message) as caught:
        reader.load(path)
    assert caught.value.code == ErrorCode.CORRUPT_DATA


def test_a_zip_bomb(tmp_path: Path) -> None:
    path = tmp_path / "bomb.docx"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("word/document.xml", b" " * (3 << 20))
    with pytest.raises(DataError, match="unpacks to more than 2 MB .*it may be a zip bomb") as caught:
        with_options(path, unpacked_mb_max=2)
    assert caught.value.code == ErrorCode.INSUFFICIENT_RESOURCES


def test_damaged_containers(tmp_path: Path, reader: DocumentReader) -> None:
    path = make_docx(tmp_path / "a.docx", p("text " * 1000))
    raw = path.read_bytes()
    path.write_bytes(raw[:-40])
    with pytest.raises(DataError, match="is a damaged or cut-off zip container"):
        reader.load(path)
    at = raw.index(b"word/document.xml") + 20
    path.write_bytes(raw[:at] + b"\xff" * 8 + raw[at + 8 :])
    with pytest.raises(DataError, match=r"is a damaged container: its part word/document.xml: "):
        reader.load(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("word/other.xml", "<x/>")
    with pytest.raises(DataError, match=r"its part word/document.xml is missing"):
        reader.load(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("word/document.xml", "<w:document")
    with pytest.raises(DataError, match="holds damaged XML"):
        reader.load(path)


def test_a_container_of_a_strange_version(tmp_path: Path, reader: DocumentReader) -> None:
    path = make_docx(tmp_path / "a.docx", p("text"))
    raw = bytearray(path.read_bytes())
    raw[raw.index(b"PK\x01\x02") + 6] = 141  # version needed to extract: 14.1
    path.write_bytes(raw)
    with pytest.raises(DataError, match="is a damaged or cut-off zip container: zip file version 14.1"):
        reader.load(path)


def test_an_encrypted_or_old_office_file(tmp_path: Path, reader: DocumentReader) -> None:
    path = tmp_path / "a.docx"
    path.write_bytes(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 600 + "EncryptedPackage".encode("utf-16-le"))
    with pytest.raises(DataError, match="is an encrypted Office document, which no loader opens") as caught:
        reader.load(path)
    assert caught.value.code == ErrorCode.AUTH_FAILED
    path.write_bytes(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 600)
    with pytest.raises(DataError, match="is in the old binary format of Microsoft Office") as caught:
        reader.load(path)
    assert caught.value.code == ErrorCode.UNSUPPORTED_FORMAT and "convert-to docx" in caught.value.remedy


@pytest.mark.parametrize(("name", "remedy"), [("a.odt", "--convert-to docx"), ("a.xyz", "convert it to PDF")])
def test_formats_that_nobody_reads(tmp_path: Path, reader: DocumentReader, name: str, remedy: str) -> None:
    path = tmp_path / name
    path.write_bytes(b"{\\rtf1 text}")
    with pytest.raises(DataError, match="is no document that can be read .suffix") as caught:
        reader.load(path)
    assert caught.value.code == ErrorCode.UNSUPPORTED_FORMAT and remedy in caught.value.remedy
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("xl/workbook.xml", "<x/>")
    with pytest.raises(DataError, match="is no document that can be read"):
        reader.load(path)


def test_an_epub_in_the_order_of_its_spine(tmp_path: Path, reader: DocumentReader) -> None:
    chapters = {"b two.xhtml": "<h1>Two</h1><p>Second &amp; last.</p>", "a.xhtml": "<h1>One</h1><p>First.</p>"}
    path = make_epub(tmp_path / "book.epub", chapters, spine=["a.xhtml", "b two.xhtml"])
    document = reader.load(path)
    assert document.text == "# One\n\nFirst.\n\n# Two\n\nSecond & last."
    assert [document.text[page.start : page.end] for page in document.pages] == [
        "# One\n\nFirst.",
        "# Two\n\nSecond & last.",
    ]
    assert document.metadata == {"title": "A book", "author": "Somebody", "language": "en"}
    assert document.media_type == "application/epub+zip"


def test_an_epub_with_copy_protection(tmp_path: Path, reader: DocumentReader) -> None:
    mangled, locked = (
        f'<encryption xmlns:e="x"><e:EncryptionMethod Algorithm="{method}"/></encryption>'
        for method in ("http://www.idpf.org/2008/embedding", "http://www.w3.org/2001/04/xmlenc#aes128-cbc")
    )
    chapter = {"a.xhtml": "<p>Text.</p>"}
    assert "Text." in reader.load(make_epub(tmp_path / "f.epub", chapter, **{"META-INF__encryption.xml": mangled})).text
    with pytest.raises(DataError, match="is copy-protected .DRM.: its text is encrypted") as caught:
        reader.load(make_epub(tmp_path / "l.epub", chapter, **{"META-INF__encryption.xml": locked}))
    assert caught.value.code == ErrorCode.AUTH_FAILED


def test_an_epub_that_lacks_a_chapter(tmp_path: Path, reader: DocumentReader) -> None:
    path = make_epub(tmp_path / "a.epub", {"a.xhtml": "<p>Text.</p>", "b.xhtml": ""})
    with zipfile.ZipFile(path) as whole, zipfile.ZipFile(tmp_path / "less.epub", "w") as less:
        for name in whole.namelist():
            if not name.endswith("b.xhtml"):
                less.writestr(name, whole.read(name))
    document = reader.load(tmp_path / "less.epub")
    assert document.text == "Text." and document.warnings == ["its spine names OPS/b.xhtml, which is not there"]


def test_an_epub_without_a_package(tmp_path: Path, reader: DocumentReader) -> None:
    path = tmp_path / "a.epub"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("META-INF/container.xml", "<container/>")
    with pytest.raises(DataError, match=r"is no whole EPUB: META-INF/container.xml names no package"):
        reader.load(path)


MARKDOWN = """---
title: x
---
# Head *line*

One [link](http://x) and `code`
goes on.

2. two
3. three
   - inner

| a | b |
|---|---|
| 1 | 2 |

```py
x = 1
```
"""


def test_markdown_as_it_is_and_without_marks(tmp_path: Path, reader: DocumentReader) -> None:
    path = tmp_path / "a.md"
    path.write_text(MARKDOWN, encoding="utf-8")
    assert reader.load(path).text == MARKDOWN
    assert with_options(path, markup="plain").text == (
        "Head line\n\nOne link and code goes on.\n\ntwo\nthree\ninner\n\na\tb\n1\t2\n\nx = 1\n"
    )
