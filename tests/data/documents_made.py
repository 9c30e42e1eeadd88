"""Small documents made by hand, so that every byte of them is known."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path

W = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
FONT = b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>"
VERTICAL_FONT = (
    b"<< /Type /Font /Subtype /Type0 /BaseFont /Ryumin-Light-V /Encoding /UniJIS-UCS2-V"
    b" /DescendantFonts [<< /Type /Font"
    b" /Subtype /CIDFontType0 /BaseFont /Ryumin-Light /CIDSystemInfo << /Registry (Adobe) /Ordering (Japan1)"
    b" /Supplement 2 >> /DW 1000 /FontDescriptor << /Type /FontDescriptor /FontName /Ryumin-Light /Flags 4 /FontBBox"
    b" [0 -200 1000 900] /ItalicAngle 0 /Ascent 800 /Descent -200 /CapHeight 700 /StemV 80 >> >>] >>"
)
IMAGE = (
    b"<< /Type /XObject /Subtype /Image /Width 1 /Height 1 /ColorSpace /DeviceGray /BitsPerComponent 8 /Length 1 >>\n"
    b"stream\n\x80\nendstream"
)


def lines_at(lines: list[tuple[int, int, str]]) -> bytes:
    """A content stream that draws each text at its place in points."""
    drawn = []
    for x, y, text in lines:
        escaped = text.replace("\\", r"\\").replace("(", r"\(").replace(")", r"\)")
        drawn.append(f"BT /F1 12 Tf {x} {y} Td ({escaped}) Tj ET")
    return "\n".join(drawn).encode("cp1252")


def page_of(text: str) -> bytes:
    """A content stream with one line of text after the other."""
    return lines_at([(72, 720 - 16 * row, line) for row, line in enumerate(text.split("\n"))])


def columns_of(lines: list[str]) -> bytes:
    """A content stream for VERTICAL_FONT: each line a column, from the right."""
    drawn = [
        f"BT /F1 12 Tf {500 - 20 * place} 700 Td <{line.encode('utf-16-be').hex()}> Tj ET"
        for place, line in enumerate(lines)
    ]
    return "\n".join(drawn).encode()


PICTURE = b"q 200 0 0 200 72 400 cm /Im1 Do Q"


def make_pdf(
    path: Path,
    contents: list[bytes],
    *,
    compress: bool = False,
    title: str | None = None,
    means: dict[int, int] | None = None,
    font: bytes = FONT,
) -> Path:
    """A PDF 1.4 with a page for each content stream, its cross-reference table right.

    `means` is what the font says of its codes: code → Unicode code point.
    """
    kids = " ".join(f"{5 + 2 * index} 0 R" for index in range(len(contents)))
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        f"<< /Type /Pages /Kids [{kids}] /Count {len(contents)} >>".encode(),
        font,
        IMAGE,
    ]
    for index, content in enumerate(contents):
        objects.append(
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents %d 0 R "
            b"/Resources << /Font << /F1 3 0 R >> /XObject << /Im1 4 0 R >> >> >>" % (6 + 2 * index)
        )
        raw = zlib.compress(content) if compress else content
        kind = b" /Filter /FlateDecode" if compress else b""
        objects.append(b"<< /Length %d%s >>\nstream\n%s\nendstream" % (len(raw), kind, raw))
    if means is not None:
        objects.append(to_unicode(means))
        objects[2] = FONT.replace(b" >>", b" /ToUnicode %d 0 R >>" % len(objects))
    if title is not None:
        objects.append(f"<< /Title ({title}) >>".encode())
    out = bytearray(b"%PDF-1.4\n")
    offsets = []
    for number, body in enumerate(objects, 1):
        offsets.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    start = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    out += b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    info = b" /Info %d 0 R" % len(objects) if title is not None else b""
    out += b"trailer\n<< /Size %d /Root 1 0 R%s >>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, info, start)
    path.write_bytes(out)
    return path


def to_unicode(means: dict[int, int]) -> bytes:
    """A CMap stream that maps codes to characters."""
    pairs = "\n".join(f"<{code:02X}> <{point:04X}>" for code, point in means.items())
    cmap = (
        "/CIDInit /ProcSet findresource begin 12 dict begin begincmap /CMapName /X def /CMapType 2 def\n"
        f"1 begincodespacerange <00> <FF> endcodespacerange\n{len(means)} beginbfchar\n{pairs}\nendbfchar\n"
        "endcmap CMapName currentdict /CMap defineresource pop end end"
    ).encode()
    return b"<< /Length %d >>\nstream\n%s\nendstream" % (len(cmap), cmap)


def make_docx(path: Path, body: str, **parts: str) -> Path:
    """A DOCX of the XML inside w:body; `parts` are word/<name>.xml, each the XML inside its root."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("[Content_Types].xml", "<Types/>")
        archive.writestr("word/document.xml", f"<w:document {W}><w:body>{body}</w:body></w:document>")
        for name, inside in parts.items():
            archive.writestr(f"word/{name}.xml", f"<w:{name} {W}>{inside}</w:{name}>")
    return path


def make_epub(path: Path, chapters: dict[str, str], *, spine: list[str] | None = None, **others: str) -> Path:
    """An EPUB whose chapters are XHTML bodies by file name; `others` are further members, "/" written as "__"."""
    order = spine if spine is not None else list(chapters)
    items = "".join(
        f'<item id="i{name}" href="{name.replace(" ", "%20")}" media-type="application/xhtml+xml"/>'
        for name in chapters
    )
    refs = "".join(f'<itemref idref="i{name}"/>' for name in order)
    package = (
        '<package xmlns="http://www.idpf.org/2007/opf" xmlns:dc="http://purl.org/dc/elements/1.1/"><metadata>'
        "<dc:title>A book</dc:title><dc:creator>Somebody</dc:creator><dc:language>en</dc:language></metadata>"
        f"<manifest>{items}</manifest><spine>{refs}</spine></package>"
    )
    container = (
        '<container xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfiles>'
        '<rootfile full-path="OPS/book.opf"/></rootfiles></container>'
    )
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("mimetype", "application/epub+zip", zipfile.ZIP_STORED)
        archive.writestr("META-INF/container.xml", container)
        archive.writestr("OPS/book.opf", package)
        for name, body in chapters.items():
            archive.writestr(
                f"OPS/{name}",
                '<?xml version="1.0" encoding="utf-8"?><!DOCTYPE html><html xmlns="http://www.w3.org/1999/xhtml">'
                f"<head><title>t</title></head><body>{body}</body></html>",
            )
        for name, text in others.items():
            archive.writestr(name.replace("__", "/"), text)
    return path
