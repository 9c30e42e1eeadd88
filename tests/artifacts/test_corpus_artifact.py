"""The corpus file: what is written is read back, split by split, and damage is named."""

from pathlib import Path

import pytest

from loquela.artifacts.corpus import CorpusWriter, Document, read_documents
from loquela.core.errors import DataError


def _document(number: int, split: str) -> Document:
    return Document.model_validate(
        {"id": str(number), "text": f"niño {number}\u2028\n", "source": "a.txt", "language": None, "split": split}
    )


def _write(directory: Path) -> CorpusWriter:
    with CorpusWriter(directory) as writer:
        for number, split in enumerate(["train", "validation", "train"]):
            writer.write(_document(number, split))
    return writer


def test_documents_come_back_in_order_and_by_split(tmp_path: Path) -> None:
    writer = _write(tmp_path)
    assert [document.id for document in read_documents(tmp_path)] == ["0", "1", "2"]
    assert list(read_documents(tmp_path, "validation")) == [_document(1, "validation")]
    assert list(read_documents(tmp_path, "test")) == []
    # "niño 0" is 7 bytes, the line separator 3, the newline 1
    assert writer.documents == {"train": 2, "validation": 1, "test": 0}
    assert writer.bytes == {"train": 22, "validation": 11, "test": 0}


def test_nothing_appears_when_writing_fails(tmp_path: Path) -> None:
    with pytest.raises(KeyError), CorpusWriter(tmp_path) as writer:
        writer.write(_document(0, "train"))
        raise KeyError("stopped")
    assert list(tmp_path.iterdir()) == []


def test_missing_corpus_says_which_stage_makes_it(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no corpus in .*: it has no documents.jsonl") as caught:
        list(read_documents(tmp_path))
    assert "ingest" in caught.value.remedy


def test_truncated_line_is_named(tmp_path: Path) -> None:
    _write(tmp_path)
    path = tmp_path / "documents.jsonl"
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(DataError, match=r"documents.jsonl, line 3, is not a document"):
        list(read_documents(tmp_path))
