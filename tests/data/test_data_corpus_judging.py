"""Validation inside the corpus: what failed is dropped with reason and value, what was changed is counted."""

from pathlib import Path

import pytest

from loquela.artifacts.attributes import read_attributes, read_dropped
from loquela.artifacts.corpus import Document, read_documents
from loquela.artifacts.manifest import write_manifest
from loquela.data.corpus.facts import CorpusFacts, CorpusLedger
from loquela.data.corpus.ingest import build_corpus
from loquela.data.views.report import corpus_report
from loquela.monitoring.events import SilentBus
from loquela.recipe.schema import DataSection

GOOD = "The old fisherman walked down to the harbour with {n} nets, and he sang of the sea that he had known.\n"


def _corpus(tmp_path: Path, texts: list[str], validation: dict[str, object]) -> tuple[CorpusFacts, list[Document]]:
    folder = tmp_path / "texts"
    folder.mkdir()
    for number, text in enumerate(texts):
        (folder / f"{number:03}.txt").write_text(text)
    directory = tmp_path / "corpus"
    directory.mkdir()
    section = DataSection.model_validate(
        {"sources": [{"address": str(folder), "name": "texts"}], "min_corpus_bytes": 1, "validation": validation}
        | {"duplicates": {"near": "off"}}
    )
    facts = build_corpus(section, seed=1, downloads=tmp_path, directory=directory, bus=SilentBus())
    write_manifest(directory, "corpus", facts=facts.model_dump(mode="json"))
    return facts, list(read_documents(directory))


def _changes(tmp_path: Path) -> dict[str, tuple[int, int]]:
    ledger = CorpusLedger.model_validate_json((tmp_path / "corpus" / "ledger.json").read_text())
    ledger.check()
    (found,) = [arrow for arrow in ledger.arrows if arrow.arrow == "validate"]
    return {change.reason: (change.bytes, change.items) for change in found.changes}


def test_prohibited_documents_are_dropped_and_shown(tmp_path: Path) -> None:
    pytest.importorskip("hyperscan")
    texts = [GOOD.format(n=n) * 2 for n in range(10)]
    texts[3] += "Buy cheap pills now.\n"
    validation = {"patterns": [{"name": "spam", "pattern": "cheap pills", "action": "drop"}]}
    facts, documents = _corpus(tmp_path, texts, validation)
    assert facts.documents == 9
    assert _changes(tmp_path) == {"pattern.spam": (-len(texts[3]), -1)}
    (example,) = read_dropped(tmp_path / "corpus")
    assert (example.arrow, example.reason, example.value, example.threshold) == ("validate", "pattern.spam", 1, 0)
    known = list(read_attributes(tmp_path / "corpus"))
    assert len(known) == 10
    assert {found.status for found in known} == {"passed", "failed"}
    assert [found.reason for found in known if found.reason] == ["pattern.spam"]
    assert {found.id for found in known if not found.reason} == {document.id for document in documents}
    report = corpus_report(tmp_path / "corpus")
    (signal,) = [signal for signal in report.signals if signal.name == "pattern.spam"]
    assert (signal.documents, signal.failed, signal.minimum, signal.maximum) == (10, 1, 0, 1)
    assert (signal.bins[0], signal.bins[-1], sum(signal.bins)) == (9, 1, 10)


def test_changed_documents_are_counted_and_known_by_their_new_text(tmp_path: Path) -> None:
    texts = [GOOD.format(n=n) for n in range(10)]
    texts[2] = texts[2].replace("harbour", "har\u00adbour\u200b")
    facts, documents = _corpus(tmp_path, texts, {"sanitize": {"zero_width": True}})
    assert facts.documents == 10
    assert documents[2].text == GOOD.format(n=2)
    assert sum(size for size, _ in _changes(tmp_path).values()) == -5
    lineage = documents[2].lineage
    assert lineage is not None
    assert lineage.char_end == len(texts[2])  # places are those of the source, not of what became of it


def test_quality_rules_leave_a_value_for_every_document(tmp_path: Path) -> None:
    texts = [GOOD.format(n=n) * 12 for n in range(8)] + ["{ } ### { } ### 12 34 56 78 90\n" * 20]
    facts, _ = _corpus(tmp_path, texts, {"rule_sets": ["gopher_quality"]})
    assert facts.documents == 8
    known = list(read_attributes(tmp_path / "corpus"))
    assert len(known) == 9
    assert all(found.signals and found.score is not None for found in known)
    (failed,) = [found for found in known if found.reason]
    assert failed.reason in failed.reasons
    assert (failed.score or 0) < min(found.score or 0 for found in known if not found.reason)


def test_nothing_asked_nothing_recorded(tmp_path: Path) -> None:
    facts, _ = _corpus(tmp_path, [GOOD.format(n=n * "very ") for n in range(8)], {})
    assert facts.documents == 8
    assert list(read_attributes(tmp_path / "corpus")) == []
    assert _changes(tmp_path) == {}


@pytest.mark.parametrize("action", ["pseudonymize", "drop"])
def test_examples_of_what_was_dropped_show_no_personal_data(tmp_path: Path, action: str) -> None:
    pytest.importorskip("hyperscan")
    texts = [GOOD.format(n=n) for n in range(10)]
    texts[4] += "Cheap pills: write to maria.lopez@example.com now.\n"
    validation = {
        "patterns": [{"name": "spam", "pattern": "Cheap pills"}],
        "pii": {"kinds": ["email"], "action": action},
    }
    facts, _ = _corpus(tmp_path, texts, validation)
    assert facts.documents == 9
    for name in ("dropped.jsonl", "attributes.jsonl", "documents.jsonl"):
        assert "maria" not in (tmp_path / "corpus" / name).read_text()
    (example,) = read_dropped(tmp_path / "corpus")
    assert "<email" in example.text
    assert sum(size for size, _ in _changes(tmp_path).values()) == -len(texts[4])
