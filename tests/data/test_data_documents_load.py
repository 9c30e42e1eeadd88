"""Every kind of document through the reading process; what kills that process costs one document."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from documents_made import lines_at, make_docx, make_pdf

from loquela.core.errors import DataError, ErrorCode
from loquela.data.documents.load import DocumentReader, load_document
from loquela.recipe.document_section import DocumentOptions
from waiting import until


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


def slow_pdf(path: Path) -> Path:
    """Many seconds of work for pypdf in a small file."""
    return make_pdf(path, [b"BT /F1 1 Tf (x y z) Tj ET\n" * 20_000] * 60, compress=True)


def reading_processes() -> list[psutil.Process]:
    return [child for child in psutil.Process().children() if "reading_process" in " ".join(child.cmdline())]


def own_of(others: list[psutil.Process]) -> list[psutil.Process]:
    return [process for process in reading_processes() if process not in others]


def test_a_document_that_takes_too_long(tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    page.write_text("quick")
    others = reading_processes()
    hasty = DocumentOptions(timeout_seconds=0.5, pdf_engine="pypdf")
    with DocumentReader(DocumentOptions(pdf_engine="pypdf")) as reader:
        assert reader.load(page).text == "quick\n"
        with pytest.raises(
            DataError, match="was still being read after 0.5 seconds, so its process was ended"
        ) as caught:
            reader.load(slow_pdf(tmp_path / "slow.pdf"), options=hasty)
        assert caught.value.code == ErrorCode.TIMEOUT
        assert "timeout_seconds" in caught.value.remedy
        assert reading_processes() == others
        assert reader.load(page).text == "quick\n"
        assert reader.processes_started == 2


def test_a_document_that_kills_its_process(tmp_path: Path) -> None:
    slow = slow_pdf(tmp_path / "slow.pdf")
    page = tmp_path / "page.html"
    page.write_text("quick")
    others = reading_processes()

    def kill() -> None:
        found = until(lambda: own_of(others), every=0.02)
        time.sleep(0.8)  # well into the document
        found[0].send_signal(signal.SIGSEGV)

    with DocumentReader(DocumentOptions(pdf_engine="pypdf")) as reader:
        killer = threading.Thread(target=kill)
        killer.start()
        with pytest.raises(DataError, match="made the process that read it crash: killed by SIGSEGV") as caught:
            reader.load(slow)
        killer.join()
        assert caught.value.code == ErrorCode.WORKER_CRASH
        assert reader.load(page).text == "quick\n"


def test_a_document_that_needs_too_much_memory(tmp_path: Path) -> None:
    path = tmp_path / "large.docx"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        with archive.open("word/document.xml", "w", force_zip64=True) as part:
            for _ in range(300):
                part.write(b" " * (1 << 20))
    with DocumentReader(DocumentOptions(memory_mb=256)) as reader:
        with pytest.raises(DataError, match="needs more memory than the 256 MB that a document may take") as caught:
            reader.load(path)
        assert caught.value.code == ErrorCode.OOM
        assert (
            reader.load(make_docx(tmp_path / "small.docx", "<w:p><w:r><w:t>small</w:t></w:r></w:p>")).text == "small\n"
        )
        assert reader.processes_started == 2


def test_a_process_that_ended_while_idle_is_no_fault_of_the_next_document(tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    page.write_text("text")
    others = reading_processes()
    with DocumentReader(DocumentOptions()) as reader:
        reader.load(page)
        (process,) = own_of(others)
        process.kill()
        tasks = Path(f"/proc/{process.pid}/task")
        # It can be collected only once the last of its threads is gone too.
        while process.status() != psutil.STATUS_ZOMBIE or len(list(tasks.iterdir())) > 1:
            time.sleep(0.01)
        assert reader.load(page).text == "text\n"


def test_threads_share_the_process_with_options_of_their_own(tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    page.write_text("<h1>Head</h1>")
    found: dict[int, set[str]] = {0: set(), 1: set()}
    options = (DocumentOptions(), DocumentOptions(markup="plain"))

    def read(which: int) -> None:
        for _ in range(20):
            found[which].add(load_document(page, None, options[which]).text)

    threads = [threading.Thread(target=read, args=(which,)) for which in found]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {0: {"# Head\n"}, 1: {"Head\n"}}


def test_a_bloated_process_is_replaced(tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    page.write_text("<p>" + "word " * 3_000_000)
    with DocumentReader(DocumentOptions(recycle_memory_mb=64)) as reader:
        reader.load(page)
        page.write_text("small")
        reader.load(page)
        assert reader.processes_started == 2


def test_no_process_outlives_the_program_that_asked(tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    page.write_text("text")
    program = (
        "import os, sys, psutil; from pathlib import Path;"
        "from loquela.data.documents.load import load_document;"
        "from loquela.recipe.document_section import DocumentOptions;"
        "load_document(Path(sys.argv[1]), None, DocumentOptions());"
        "print(psutil.Process().children()[0].pid, flush=True); os._exit(0)"
    )
    done = subprocess.run([sys.executable, "-c", program, str(page)], capture_output=True, text=True, check=True)
    left = int(done.stdout)
    until(lambda: not psutil.pid_exists(left))


def test_secrets_of_the_environment_stay_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI")
    page = tmp_path / "page.html"
    page.write_text("text")
    others = reading_processes()
    with DocumentReader(DocumentOptions()) as reader:
        reader.load(page)
        environment = own_of(others)[0].environ()
    assert "AWS_SECRET_ACCESS_KEY" not in environment and "PATH" in environment


def test_the_password_of_a_credential(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import pypdf

    writer = pypdf.PdfWriter(make_pdf(tmp_path / "open.pdf", [lines_at([(72, 700, "Secret.")])]))
    writer.encrypt("let me in")
    writer.write(tmp_path / "locked.pdf")
    monkeypatch.setenv("LOQUELA_CREDENTIAL_BOOKS", "let me in")
    options = DocumentOptions.model_validate({"password_credential": "books"})
    assert load_document(tmp_path / "locked.pdf", None, options).text == "Secret."
