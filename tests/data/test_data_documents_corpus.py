"""A folder of documents to a corpus: pages in the lineage, the unreadable set aside, what was mended in the report."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from documents_made import PICTURE, make_docx, make_epub, make_pdf, page_of

from loquela.artifacts.corpus import read_documents
from loquela.core.digests import digest_file
from loquela.core.errors import DataError
from loquela.data.corpus.ingest import build_corpus
from loquela.monitoring.events import SilentBus
from loquela.recipe.schema import DataSection


def sentence(number: int) -> str:
    return f"Sentence {number} stands on a page of its own and is as long as a line."


def folder_of_documents(tmp_path: Path) -> Path:
    folder = tmp_path / "documents"
    folder.mkdir()
    make_pdf(
        folder / "a.pdf", [page_of("\n".join(sentence(10 * page + line) for line in range(8))) for page in range(6)]
    )
    broken = make_pdf(folder / "b.pdf", [page_of("\n".join(map(sentence, range(100, 112))))])
    broken.write_bytes(broken.read_bytes().replace(b"startxref\n", b"startxref\n9"))
    make_pdf(folder / "scan.pdf", [PICTURE])
    paragraphs = "".join(f"<w:p><w:r><w:t>{sentence(number)}</w:t></w:r></w:p>" for number in range(200, 240))
    make_docx(folder / "c.docx", paragraphs)
    make_epub(folder / "d.epub", {"one.xhtml": "".join(f"<p>{sentence(number)}</p>" for number in range(300, 330))})
    return folder


def test_a_folder_of_documents(tmp_path: Path) -> None:
    folder, corpus = folder_of_documents(tmp_path), tmp_path / "corpus"
    corpus.mkdir()
    section = DataSection(sources=[str(folder)], document_bytes=300)
    build_corpus(section, seed=1, downloads=tmp_path, directory=corpus, bus=SilentBus())
    documents = list(read_documents(corpus))
    text = "\n".join(document.text for document in documents)
    assert all(sentence(number) in text for number in (0, 57, 111, 239, 329))
    paged = [document for document in documents if document.source.endswith("a.pdf")]
    assert {page for document in paged if document.lineage for page in document.lineage.pages} == set(range(1, 7))
    assert all(
        document.lineage is not None and document.lineage.raw_sha256 == digest_file(folder / "a.pdf")
        for document in paged
    )
    quarantined = [json.loads(line) for line in (corpus / "quarantine.jsonl").read_text().splitlines()]
    assert [Path(entry["object"]).name for entry in quarantined] == ["scan.pdf"]
    assert "images without a text layer" in quarantined[0]["reason"]
    report = (corpus / "encoding_report.json").read_text()
    assert "its cross-reference table is broken" in report
    ledger = json.loads((corpus / "ledger.json").read_text())
    read = next(arrow for arrow in ledger["arrows"] if arrow["arrow"] == "read")
    assert {
        "reason": "document_unsupported_format",
        "bytes": -(folder / "scan.pdf").stat().st_size,
        "items": -1,
    } in read["changes"]


def test_a_document_named_alone_stops(tmp_path: Path) -> None:
    scan = make_pdf(tmp_path / "scan.pdf", [PICTURE])
    section = DataSection(sources=[str(scan)])
    with pytest.raises(DataError, match="is scanned"):
        build_corpus(section, seed=1, downloads=tmp_path, directory=tmp_path, bus=SilentBus())
