"""Documents cut by a splitter: exact places and bytes, overlaps and dropped white space counted, one file of tokens."""

import unicodedata
from pathlib import Path

import pytest

from loquela.artifacts.corpus import Document, read_documents
from loquela.core.digests import digest_file
from loquela.core.errors import RecipeError
from loquela.data.corpus.facts import CorpusFacts, CorpusLedger
from loquela.data.corpus.fingerprint import fingerprint
from loquela.data.corpus.ingest import build_corpus
from loquela.monitoring.events import SilentBus
from loquela.recipe.schema import DataSection
from toy_run import make_tokenizer

PARAGRAPHS = [f"Pa\u0301rrafo {n}: la nin\u0303a contó {n * n} estrellas y {n} lunas.\r\n\r\n" for n in range(80)]


def _corpus(tmp_path: Path, splitter: dict[str, object]) -> tuple[CorpusFacts, list[Document], CorpusLedger]:
    path = tmp_path / "a.txt"
    path.write_bytes("".join(PARAGRAPHS).encode())
    directory = tmp_path / "corpus"
    directory.mkdir()
    section = DataSection.model_validate({"sources": [str(path)], "splitter": splitter, "document_bytes": 256})
    facts = build_corpus(section, seed=1, downloads=tmp_path, directory=directory, bus=SilentBus())
    assert facts.model_dump(mode="json")["sources"] == fingerprint(section, tmp_path)
    ledger = CorpusLedger.model_validate_json((directory / "ledger.json").read_text())
    ledger.check()
    return facts, list(read_documents(directory)), ledger


def _cut(ledger: CorpusLedger) -> dict[str, int]:
    (arrow,) = [arrow for arrow in ledger.arrows if arrow.arrow == "cut"]
    return {change.reason: change.bytes for change in arrow.changes if change.bytes}


@pytest.mark.parametrize("overlap", [0, 60])
def test_chunks_know_their_characters_and_bytes(tmp_path: Path, overlap: int) -> None:
    _, documents, ledger = _corpus(tmp_path, {"method": "recursive", "chunk_size": 200, "overlap": overlap})
    raw = (tmp_path / "a.txt").read_bytes()
    decoded = raw.decode().replace("\r\n", "\n")
    end = 0
    for document in documents:
        lineage = document.lineage
        assert lineage is not None
        piece = decoded[lineage.char_start : lineage.char_end]
        assert unicodedata.normalize("NFC", piece) == document.text
        if lineage.byte_start is not None and lineage.byte_end is not None:
            assert raw[lineage.byte_start : lineage.byte_end].decode().replace("\r\n", "\n").strip() == piece
        assert (lineage.char_start < end) == bool(overlap and end)
        end = lineage.char_end
    changes = _cut(ledger)
    assert (changes.get("overlap", 0) > 0) == bool(overlap)
    assert changes["white_space_between_chunks"] < 0


def test_chunks_measured_in_tokens(tmp_path: Path) -> None:
    handle = make_tokenizer(tmp_path / "tokenizer")
    model_file = tmp_path / "tokenizer" / "tokenizer.json"
    splitter = {"method": "token", "chunk_size": 80, "tokenizer": str(model_file)}
    facts, documents, _ = _corpus(tmp_path, splitter)
    assert len(documents) > 20
    for document in documents:
        assert len(handle.encode(unicodedata.normalize("NFD", document.text))) <= 80 * 2
    assert facts.sources[f"splitter:{model_file}"].sha256 == digest_file(model_file)


def test_tokens_cannot_be_counted_without_a_tokenizer(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="there is no tokenizer to count them") as caught:
        _corpus(tmp_path, {"method": "token"})
    assert "data.splitter.tokenizer" in caught.value.remedy
