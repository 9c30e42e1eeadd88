"""From LangChain: our loader in its pipelines. To LangChain: its loaders as sources of ours."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from documents_made import make_pdf, page_of
from langchain_core.document_loaders import BaseBlobParser, BaseLoader, Blob
from langchain_core.documents import Document
from langchain_text_splitters import RecursiveCharacterTextSplitter

from loquela.artifacts.corpus import read_documents
from loquela.core.errors import DataError, ErrorCode
from loquela.data.access.source_registry import SOURCES
from loquela.data.corpus.ingest import build_corpus
from loquela.data.langchain.loader import LoquelaLoader
from loquela.data.langchain.source import LangChainSource, loaded_documents
from loquela.data.source_contract import SourceRequest
from loquela.data.tally import Tally
from loquela.monitoring.events import SilentBus
from loquela.recipe.document_section import DocumentOptions
from loquela.recipe.schema import DataSection
from loquela.recipe.source_entry import SourceEntry


def pdf(tmp_path: Path) -> Path:
    return make_pdf(tmp_path / "two.pdf", [page_of("First page."), page_of("Second page.")], title="Two pages")


def test_pages_with_their_places(tmp_path: Path) -> None:
    loader = LoquelaLoader(pdf(tmp_path))
    assert isinstance(loader, BaseLoader)
    first, second = loader.load()
    assert (first.page_content, second.page_content) == ("First page.", "Second page.")
    assert second.metadata["page"] == 2 and second.metadata["title"] == "Two pages"
    assert (second.metadata["start_index"], second.metadata["end_index"]) == (13, 25)
    assert second.metadata["source"] == str(tmp_path / "two.pdf") and len(second.metadata["sha256"]) == 64
    (whole,) = LoquelaLoader(tmp_path / "two.pdf", by="document").lazy_load()
    assert whole.page_content == "First page.\n\nSecond page." and "page" not in whole.metadata


def test_their_splitter_takes_our_documents(tmp_path: Path) -> None:
    splitter = RecursiveCharacterTextSplitter(chunk_size=6, chunk_overlap=0)
    chunks = splitter.split_documents(LoquelaLoader(pdf(tmp_path)).load())
    assert [chunk.page_content for chunk in chunks] == ["First", "page.", "Second", "page."]
    assert [chunk.metadata["page"] for chunk in chunks] == [1, 1, 2, 2]


def test_whatever_a_recipe_could_name(tmp_path: Path) -> None:
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts/a.txt").write_text("One.\n")
    (tmp_path / "texts/b.txt").write_text("Two.\n")
    found = LoquelaLoader(SourceEntry(address=str(tmp_path / "texts"), language="en")).load()
    assert [document.page_content for document in found] == ["One.\n", "Two.\n"]
    assert found[0].metadata["source"].endswith("a.txt") and found[0].metadata["language"] == "en"


def test_records_with_their_bytes(tmp_path: Path) -> None:
    rows = ['{"text": "First row.", "topic": "a"}\n', '{"text": "Second row.", "topic": "b"}\n']
    (tmp_path / "rows.jsonl").write_text("".join(rows))
    first, second = LoquelaLoader(tmp_path / "rows.jsonl").load()
    assert (first.page_content, second.page_content) == ("First row.", "Second row.")
    assert second.metadata["record"] == 2
    assert "".join(rows)[second.metadata["byte_start"] : second.metadata["byte_end"]].strip() == rows[1].strip()


def test_our_errors_come_through(tmp_path: Path) -> None:
    path = make_pdf(tmp_path / "blank.pdf", [b""])
    with pytest.raises(DataError, match="hold neither text nor images"):
        LoquelaLoader(path, DocumentOptions()).load()


class LinesParser(BaseBlobParser):
    """A document for each line."""

    def lazy_parse(self, blob: Blob) -> Iterator[Document]:
        for number, line in enumerate(blob.as_string().splitlines()):
            yield Document(page_content=line, metadata={"source": blob.source, "line": number})


class NotesLoader(BaseLoader):
    """A loader as others write them."""

    def __init__(self, path: str) -> None:
        self.path = path

    def lazy_load(self) -> Iterator[Document]:
        yield from LinesParser().lazy_parse(Blob.from_path(self.path))


class PagesLoader(BaseLoader):
    """Two documents in pages, as their PDF loaders give them, then one without."""

    def lazy_load(self) -> Iterator[Document]:
        for source in ("a.pdf", "b.pdf"):
            for page in range(2):
                yield Document(page_content=f"{source} page {page}\n", metadata={"source": source, "page": page})
        yield Document(page_content="  alone \n")


def test_pages_of_their_loaders_become_one_document() -> None:
    a, b, alone = loaded_documents(PagesLoader())
    assert a.text == "a.pdf page 0\n\na.pdf page 1"
    assert [(page.number, b.text[page.start : page.end]) for page in b.pages] == [
        (1, "b.pdf page 0"),
        (2, "b.pdf page 1"),
    ]
    assert alone.text == "  alone \n" and alone.pages == [] and a.metadata == {"source": "a.pdf"}


def notes() -> LangChainSource:
    """As a stranger's package would register it."""
    return LangChainSource(lambda request: NotesLoader(request.rest))


def test_their_loader_as_a_source_of_a_corpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SOURCES._paths, "notes", f"{__name__}:notes")
    file = tmp_path / "notes.txt"
    file.write_text("\n".join(f"Note {number}: {'text ' * 20}" for number in range(40)))
    section = DataSection(sources=[f"notes:{file}"])
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    facts = build_corpus(section, seed=1, downloads=tmp_path, directory=corpus, bus=SilentBus())
    documents = list(read_documents(corpus))
    assert facts.documents == len(documents) == 40
    assert {document.text for document in documents} == set(file.read_text().split("\n"))
    source, request = notes(), SourceRequest(section.entries[0], section, tmp_path)
    assert source.check(request).message == "the loader works"
    before = source.fingerprint(request)
    assert before.texts == 40
    file.write_text("changed")
    assert source.fingerprint(request) != before


def test_their_failure_is_a_message(tmp_path: Path) -> None:
    request = SourceRequest(SourceEntry(address="notes:/nowhere"), DataSection(), tmp_path)
    with pytest.raises(DataError, match="the LangChain loader of notes:/nowhere failed: FileNotFoundError") as caught:
        list(notes().read(request, Tally()))
    assert caught.value.code == ErrorCode.READ_FAILED
