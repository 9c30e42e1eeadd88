"""Loquela's readers as a LangChain loader: `from loquela.data.langchain.loader import LoquelaLoader`.

Importing this module needs langchain-core (`pip install "loquela[documents]"`).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from langchain_core.document_loaders import BaseLoader
from langchain_core.documents import Document
from pydantic import JsonValue

from loquela.core.digests import digest_file
from loquela.data.access.source_registry import source_for
from loquela.data.documents.load import DOCUMENT_SUFFIXES, load_document
from loquela.data.source_contract import SourceRequest, SourceText
from loquela.data.tally import Tally
from loquela.recipe.document_section import DocumentOptions
from loquela.recipe.schema import DataSection
from loquela.recipe.source_entry import SourceEntry


class LoquelaLoader(BaseLoader):
    """Loads whatever can stand in `data.sources`: a document, a folder, JSON Lines, an archive, an address.

    A document with pages gives one LangChain document a page (`by="document"`: one for all). Metadata: `source`, the
    characters `start_index` to `end_index` in the whole text, `page` from 1, `sha256` of the file, `warnings`, and what
    the document says of itself; for records `record` from 1, `byte_start`, `byte_end` and `labels`. What is downloaded
    is kept in `downloads`. Raises the errors of `load_document` and of the sources.
    """

    def __init__(
        self,
        source: str | Path | SourceEntry,
        options: DocumentOptions | None = None,
        *,
        by: Literal["page", "document"] = "page",
        password: str | None = None,
        downloads: Path = Path("downloads"),
    ) -> None:
        self.entry = source if isinstance(source, SourceEntry) else SourceEntry(address=str(source))
        self.options = options or DocumentOptions()
        self.by = by
        self.downloads = downloads
        self._password = password

    def lazy_load(self) -> Iterator[Document]:
        """One LangChain document after the other."""
        path = Path(self.entry.address).expanduser()
        if path.is_file() and path.suffix.lower() in DOCUMENT_SUFFIXES:
            yield from self._document(path)
        else:
            section = DataSection(sources=[self.entry], documents=self.options)
            request = SourceRequest(self.entry, section, self.downloads)
            for text in source_for(self.entry.address).read(request, Tally()):
                yield _of_text(text)

    def _document(self, path: Path) -> Iterator[Document]:
        loaded = load_document(path, None, self.options, password=self._password, language=self.entry.language)
        about: dict[str, JsonValue] = {
            **loaded.metadata,
            "source": str(path),
            "sha256": digest_file(path),
            "media_type": loaded.media_type,
            "warnings": [*loaded.warnings],
        }
        if self.by == "document" or not loaded.pages:
            yield Document(
                page_content=loaded.text, metadata={**about, "start_index": 0, "end_index": len(loaded.text)}
            )
            return
        for page in loaded.pages:
            place = {"page": page.number, "start_index": page.start, "end_index": page.end}
            yield Document(page_content=loaded.text[page.start : page.end], metadata={**about, **place})


def _of_text(text: SourceText) -> Document:
    content = "".join(text.pieces)
    about: dict[str, JsonValue] = {
        "source": text.object_name or text.name,
        "name": text.name,
        "language": text.language,
        "record": text.record,
        "byte_start": text.raw_bytes[0] if text.raw_bytes else None,
        "byte_end": text.raw_bytes[1] if text.raw_bytes else None,
        "sha256": text.raw_sha256,
        "labels": {**text.labels} or None,
    }
    known = {name: value for name, value in about.items() if value is not None}
    return Document(page_content=content, metadata={**known, "start_index": 0, "end_index": len(content)})
