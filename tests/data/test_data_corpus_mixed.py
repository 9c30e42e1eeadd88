"""One folder with every kind of file, from recipe to shards, and from a token of each kind back to its bytes."""

import gzip
import json
import random
from pathlib import Path

import numpy as np
import pytest
from documents_made import make_docx, make_pdf, page_of

from loquela.artifacts.attributes import read_attributes
from loquela.artifacts.corpus import read_documents
from loquela.artifacts.token_places import document_at
from loquela.cli.main import answer
from loquela.data.views.report import corpus_report
from loquela.data.views.trace import trace_token
from loquela.recipe.schema import DataSection
from loquela.runs.places import artifact_of
from loquela.runs.store import RunStore

RECIPE = """
schema_version: 1
name: mixed
data:
  sources: [{address: files, name: mixture, labels: [topic]}]
  document_bytes: 400
  validation_fraction: 0.1
  stratify_by: language
  validation: {sanitize: {zero_width: true}}
  duplicates: {near: drop}
tokenizer: {method: bpe, vocab_size: 500}
model: {max_sequence_length: 32}
"""
LETTERS = "the quick brown fox jumps over lazy dogs while señor Ñandú watches eleven clouds drift past".split()


def _prose(seed: int, words: int = 50) -> str:
    drawn = random.Random(seed)
    return " ".join(f"{drawn.choice(LETTERS)}{drawn.randrange(90)}" for _ in range(words))


def _fill(folder: Path) -> None:
    folder.mkdir()
    (folder / "a.txt").write_bytes("\r\n\r\n".join(_prose(n) for n in range(12)).encode())
    lines = [
        json.dumps({"text": _prose(100 + n), "topic": "even" if n % 2 == 0 else "odd"}).encode() for n in range(12)
    ]
    lines[5] = lines[5].replace(b'"text": "', b'"text": "\xf1')
    (folder / "b.jsonl").write_bytes(b"\n".join(lines) + b"\n")
    rows = "".join(f'"{_prose(200 + n)}, said ""she""",odd\n' for n in range(12))
    (folder / "c.csv").write_text("text,topic\n" + rows)
    make_pdf(
        folder / "d.pdf", [page_of("\n".join(_prose(300 + 20 * page + n, 10) for n in range(10))) for page in range(2)]
    )
    make_docx(folder / "e.docx", "".join(f"<w:p><w:r><w:t>{_prose(400 + n)}</w:t></w:r></w:p>" for n in range(8)))
    (folder / "f.txt.gz").write_bytes(gzip.compress("\n\n".join(_prose(500 + n) for n in range(12)).encode()))
    (folder / "again.txt").write_bytes((folder / "a.txt").read_bytes())
    (folder / "picture.bin").write_bytes(bytes(range(256)))


def test_every_kind_of_file_in_one_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for package in ("pypdfium2", "lxml"):
        pytest.importorskip(package)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    _fill(tmp_path / "files")
    (tmp_path / "recipe.yaml").write_text(RECIPE)
    assert answer(["prepare-data", "recipe.yaml", "--resume", "never", "--quiet"]) == 0, capsys.readouterr().err
    run = RunStore(tmp_path / "data").open("latest")
    corpus, shards, tokenizer = (artifact_of(run, stage) for stage in ("ingest", "prepare", "tokenizer"))

    report = corpus_report(corpus)
    reasons = {change.reason: change for arrow in report.arrows for change in arrow.changes}
    # The copy is the same documents (a.txt comes first); the binary file is passed over; one record is set aside.
    assert reasons["exact_duplicate"].bytes == -len("\n\n".join(_prose(n) for n in range(12)).encode())
    assert reasons["not_a_text_suffix"].bytes == -256
    assert report.quarantined == 1
    documents = list(read_documents(corpus))
    objects = {Path(document.lineage.object).name for document in documents if document.lineage}
    assert {"a.txt", "b.jsonl", "c.csv", "d.pdf", "e.docx"} <= objects
    assert any("f.txt" in name for name in objects)
    assert {document.labels["topic"] for document in documents if document.labels} == {"even", "odd"}
    assert {found.status for found in read_attributes(corpus)} == {"passed"}

    section = DataSection.model_validate(
        {"sources": [{"address": "files", "name": "mixture", "labels": ["topic"]}], "document_bytes": 400}
    )
    traced: set[str] = set()
    places = [np.fromfile(path, dtype="<u8") for path in sorted((shards / "train").glob("*.idx"))]
    assert len(places) == 1
    learnt = [document for document in documents if document.split == "train"]
    for number, document in enumerate(learnt):
        assert document.lineage is not None
        if document.lineage.object in traced:
            continue
        traced.add(document.lineage.object)
        token = int(places[0][number]) + 3
        assert document_at(shards, "train", token).id == document.id
        found = trace_token(shards, corpus, tokenizer, "train", token, section, tmp_path / "data")
        assert found.document == document.id
        assert all(check.passed for check in found.checks), (document.lineage, found.checks)
        if document.lineage.object.endswith("d.pdf"):
            assert document.lineage.pages is not None
            assert document.lineage.pages[0] >= 1
    assert len(traced) == 6
