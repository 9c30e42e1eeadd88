"""Every kind of document through the reading process; what kills that process costs one document."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from loquela.core.errors import DataError, ErrorCode
from loquela.data.documents.load import DocumentReader, load_document
from loquela.recipe.document_section import DocumentOptions


@pytest.fixture(scope="module")
def reader() -> Iterator[DocumentReader]:
    with DocumentReader(DocumentOptions()) as reader:
        yield reader


def test_html_in_reading_order(tmp_path: Path, reader: DocumentReader) -> None:
    page = tmp_path / "page.html"
    page.write_text(
        "<!doctype html><html lang=en><head><title>A  title</title><style>p{}</style></head><body>"
        "<h1>Head\n line</h1><p>One <b>two</b><br>three<script>var x</script> four</p>"
        "<ol start=3><li>first<li>second<ul><li>inner</ul></ol>"
        "<table><tr><th>a<th>b|c<tr><td>1<td>2</table><p hidden>unseen</p>tail<pre>x  y\n  z</pre></body>",
        encoding="utf-8",
    )
    document = reader.load(page)
    assert document.text == (
        "# Head line\n\nOne two\nthree four\n\n3. first\n4. second\n  - inner\n\n"
        "| a | b\\|c |\n| --- | --- |\n| 1 | 2 |\n\ntail\n\n```\nx  y\n  z\n```\n"
    )
    assert document.media_type == "text/html"
    assert document.metadata == {"language": "en", "title": "A title"}
    assert document.pages == [] and document.warnings == []


def test_the_shared_reader_answers_with_the_caller_s_options(tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    page.write_text("<h2>Head</h2><ul><li>item</ul><table><tr><td>1<td>2</table>")
    plain = load_document(page, None, DocumentOptions(markup="plain"))
    assert plain.text == "Head\n\nitem\n\n1\t2\n"
    assert load_document(page, None, DocumentOptions()).text.startswith("## Head")


def test_a_document_that_is_not_there(tmp_path: Path, reader: DocumentReader) -> None:
    with pytest.raises(DataError, match="there is no file or folder") as caught:
        reader.load(tmp_path / "gone.pdf")
    assert caught.value.code == ErrorCode.DATA_NOT_FOUND


def test_an_empty_document(tmp_path: Path, reader: DocumentReader) -> None:
    page = tmp_path / "page.html"
    page.write_text("<html><body><script>only()</script></body></html>")
    with pytest.raises(DataError, match="is empty: it holds no text at all") as caught:
        reader.load(page, name="s3://bucket/page.html")
    assert caught.value.message.startswith("s3://bucket/page.html is empty")
    assert caught.value.code == ErrorCode.INSUFFICIENT_DATA
    assert caught.value.details == {"document": "s3://bucket/page.html"}


def test_too_large_a_document(tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    with page.open("wb") as stream:
        stream.truncate(2 << 20)
    with (
        DocumentReader(DocumentOptions(file_mb_max=1)) as reader,
        pytest.raises(DataError, match="has 2 MB; data.documents.file_mb_max is 1"),
    ):
        reader.load(page)


def test_no_descriptor_and_no_process_stays(tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    page.write_text("text")
    before = len(os.listdir("/proc/self/fd"))
    with DocumentReader(DocumentOptions(recycle_documents=1)) as reader:
        for _ in range(2):
            reader.load(page)
        assert reader.processes_started == 2
    assert len(os.listdir("/proc/self/fd")) == before
