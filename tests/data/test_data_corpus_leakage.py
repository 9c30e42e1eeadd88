"""Leak-proof splits: units, strata, lineage to the byte, evaluation files kept out, and a planted leak that is seen."""

import gzip
import json
import random
from pathlib import Path

import pytest

from loquela.artifacts.attributes import read_attributes, read_dropped
from loquela.artifacts.corpus import Document, read_documents
from loquela.core.digests import digest_file
from loquela.core.errors import DataError, ErrorCode, RecipeError
from loquela.data.corpus.decontaminate import Decontaminator, evaluation_texts
from loquela.data.corpus.facts import CorpusFacts, CorpusLedger
from loquela.data.corpus.fingerprint import fingerprint
from loquela.data.corpus.ingest import build_corpus
from loquela.data.corpus.leakage import LeakageMeter
from loquela.data.corpus.parts import Part, PartFacts, plan_parts, run_part
from loquela.monitoring.events import SilentBus
from loquela.recipe.decontamination_section import DecontaminationSection
from loquela.recipe.schema import DataSection

GSM8K = Path(__file__).parents[2] / "../shared/data/instruct/gsm8k_messages_500.jsonl"
LETTERS = "abcdefghijklmnopqrstuvwxyz"


def _prose(seed: int, words: int = 120) -> str:
    """Text whose words hardly ever repeat, so that nothing is shared by chance."""
    drawn = random.Random(seed)
    return " ".join("".join(drawn.choices(LETTERS, k=6)) for _ in range(words)) + ".\n"


def _corpus(tmp_path: Path, sources: list[Path], **settings: object) -> tuple[CorpusFacts, list[Document]]:
    directory = tmp_path / "corpus"
    directory.mkdir()
    # Named, because what is drawn depends on the name.
    entries = [{"address": str(source), "name": source.name} for source in sources]
    section = DataSection.model_validate({"sources": entries, "min_corpus_bytes": 1, **settings})
    facts = build_corpus(section, seed=1, downloads=tmp_path, directory=directory, bus=SilentBus())
    assert facts.model_dump(mode="json")["sources"] == fingerprint(section, tmp_path)
    return facts, list(read_documents(directory))


def _folder(tmp_path: Path, texts: list[str], name: str = "texts") -> Path:
    folder = tmp_path / name
    folder.mkdir()
    for number, text in enumerate(texts):
        (folder / f"{number:03}.txt").write_text(text)
    return folder


# ── units ─────────────────────────────────────────────────────────────────────────────────────────────


def test_whole_texts_are_held_out_where_there_are_enough(tmp_path: Path) -> None:
    books = ["\n".join(_prose(100 * book + part) for part in range(4)) for book in range(60)]
    facts, documents = _corpus(tmp_path, [_folder(tmp_path, books)], document_bytes=900, validation_fraction=0.1)
    sides = {document.source: set[str]() for document in documents}
    for document in documents:
        sides[document.source].add(document.split)
    assert all(len(side) == 1 for side in sides.values())
    assert len(documents) == 240
    assert facts.splits["validation"].documents in (20, 24, 28)  # where the draw falls depends on the folder's name
    assert facts.leakage is not None
    assert facts.leakage.same_source == facts.leakage.sharing_any == 0
    assert facts.split_units is not None
    (stratum,) = facts.split_units.strata.values()
    assert (stratum.unit, stratum.texts, stratum.units) == ("source", 60, 60)


def test_one_book_is_cut_from_inside_and_that_is_said(tmp_path: Path) -> None:
    path = tmp_path / "book.txt"
    path.write_text("\n".join(_prose(part) for part in range(40)))
    facts, documents = _corpus(tmp_path, [path], document_bytes=900, validation_fraction=0.1)
    assert facts.split_units is not None
    (stratum,) = facts.split_units.strata.values()
    assert (stratum.unit, stratum.reason) == ("document", "one text is too few to hold out whole ones")
    held_out = [document for document in documents if document.split != "train"]
    assert facts.leakage is not None
    assert facts.leakage.same_source == len(held_out) >= 3
    assert facts.leakage.sharing_any == 0


def test_too_large_a_unit_is_learnt_from(tmp_path: Path) -> None:
    path = tmp_path / "one.txt"
    path.write_text("\n".join(_prose(part) for part in range(40)))
    others = _folder(tmp_path, [_prose(1000 + number) for number in range(40)])
    facts, documents = _corpus(
        tmp_path, [path, others], document_bytes=900, split_unit="source", stratify_by="language"
    )
    assert {document.split for document in documents if document.source.endswith(path.name)} == {"train"}
    assert len({document.group for document in documents if document.source.endswith(path.name)}) == 1
    assert facts.split_units is not None
    assert facts.split_units.strata["unknown"].too_large == 1


def test_one_near_duplicate_cluster_alone_is_refused(tmp_path: Path) -> None:
    text = _prose(1, 400)
    folder = _folder(tmp_path, [text, text.replace(".", " end.")])
    with pytest.raises(DataError, match=r"2 document\(s\).*\(1 when near duplicates and parts of one text are held"):
        _corpus(tmp_path, [folder])


def test_every_language_gives_its_share(tmp_path: Path) -> None:
    english = {"address": str(_folder(tmp_path, [_prose(n) for n in range(90)], "en")), "language": "en"}
    spanish = {"address": str(_folder(tmp_path, [_prose(n) for n in range(90, 120)], "es")), "language": "es"}
    directory = tmp_path / "corpus"
    directory.mkdir()
    section = DataSection.model_validate(
        {"sources": [english, spanish], "stratify_by": "language", "validation_fraction": 0.1}
    )
    facts = build_corpus(section, seed=3, downloads=tmp_path, directory=directory, bus=SilentBus())
    assert facts.split_units is not None
    assert set(facts.split_units.strata) == {"en", "es"}
    held_out = [document.language for document in read_documents(directory) if document.split == "validation"]
    assert abs(held_out.count("en") - 9) <= 1
    assert abs(held_out.count("es") - 3) <= 1


def test_every_value_of_a_label_gives_its_share(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    topics = ["law"] * 60 + ["sport"] * 30
    rows = [json.dumps({"text": _prose(number), "topic": topic}) for number, topic in enumerate(topics)]
    path.write_text("\n".join([*rows, json.dumps({"text": _prose(200)})]) + "\n")
    entry = {"address": str(path), "name": "rows"}
    section = {"sources": [entry | {"labels": ["topic"]}], "stratify_by": "label:topic", "validation_fraction": 0.1}
    directory = tmp_path / "corpus"
    directory.mkdir()
    facts = build_corpus(
        DataSection.model_validate(section), seed=1, downloads=tmp_path, directory=directory, bus=SilentBus()
    )
    assert facts.split_units is not None
    assert set(facts.split_units.strata) == {"law", "sport", "(none)"}
    held_out = [document.labels.get("topic") for document in read_documents(directory) if document.split != "train"]
    assert abs(held_out.count("law") - 6) <= 1
    assert abs(held_out.count("sport") - 3) <= 1
    other = tmp_path / "other"
    other.mkdir()
    with pytest.raises(RecipeError, match="names the label 'topic', which no document has") as caught:
        build_corpus(
            DataSection.model_validate(section | {"sources": [entry]}),
            seed=1,
            downloads=tmp_path,
            directory=other,
            bus=SilentBus(),
        )
    assert "labels: [topic]" in caught.value.remedy


@pytest.mark.parametrize("packed", [False, True])
def test_a_name_of_ones_own_does_not_hide_the_format(tmp_path: Path, packed: bool) -> None:
    """Rows stay rows: what a file is called in the ledger keeps its suffix."""
    path = tmp_path / ("rows.jsonl.gz" if packed else "rows.jsonl")
    lines = "".join(json.dumps({"text": _prose(number)}) + "\n" for number in range(20)).encode()
    path.write_bytes(gzip.compress(lines) if packed else lines)
    _, documents = _corpus(tmp_path, [path])
    assert [document.text for document in documents] == [_prose(number) for number in range(20)]


# ── leakage that remains ──────────────────────────────────────────────────────────────────────────────


def test_a_planted_leak_is_measured(tmp_path: Path) -> None:
    texts = [_prose(number) for number in range(40)]
    clean, documents = _corpus(tmp_path, [_folder(tmp_path, texts)], validation_fraction=0.1)
    assert clean.leakage is not None
    assert (clean.leakage.documents, clean.leakage.sharing_any) == (4, 0)
    victim = next(document for document in documents if document.split == "validation")
    learnt = next(number for number, document in enumerate(documents) if document.split == "train")
    # 60 of its 120 words: 48 of 108 13-grams stand in a training document; too little for a near duplicate.
    texts[learnt] = " ".join([*victim.text.split()[:60], *texts[learnt].split()])
    again = tmp_path / "again"
    again.mkdir()
    leaky, documents = _corpus(again, [_folder(again, texts)], validation_fraction=0.1)
    assert leaky.leakage is not None
    assert leaky.leakage.sharing_any == 1
    assert leaky.leakage.sharing_half == 0
    assert leaky.leakage.mean_containment == pytest.approx(48 / 108 / 4, abs=1e-6)


def test_leakage_of_much_text_is_estimated_from_a_share_of_the_ngrams(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("loquela.data.corpus.leakage.MOST_NGRAMS", 1000)
    text = _prose(1, 20_000)
    meter = LeakageMeter(len(text))
    meter.hold_out(text)
    meter.learn(" ".join(text.split()[:10_000]))
    found = meter.result(0)
    assert found.share_looked_at == 1 / 32
    assert found.mean_containment == pytest.approx(0.5, abs=0.08)


# ── lineage ───────────────────────────────────────────────────────────────────────────────────────────


def test_a_document_is_found_again_in_its_source(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes("\n\n".join(f"Pa\u0301rrafo {n}: n\u0303." + " x" * 40 for n in range(40)).encode())
    decoded = path.read_text()
    _, documents = _corpus(tmp_path, [path], document_bytes=256)
    assert len(documents) > 10
    for number, document in enumerate(documents, start=1):
        lineage = document.lineage
        assert lineage is not None
        assert (lineage.object, lineage.chunk) == ("a.txt/a.txt", number)
        piece = decoded[lineage.char_start : lineage.char_end]
        assert piece.replace("a\u0301", "á").replace("n\u0303", "ñ") == document.text
        if lineage.byte_start is not None and lineage.byte_end is not None:
            assert path.read_bytes()[lineage.byte_start : lineage.byte_end].decode() == piece


# ── parts ─────────────────────────────────────────────────────────────────────────────────────────────


def test_parts_made_in_any_order_are_the_same_corpus(tmp_path: Path) -> None:
    folders = [_folder(tmp_path, [_prose(10 * n + m) for m in range(10)], f"texts{n}") for n in range(3)]
    section = DataSection.model_validate({"sources": list(map(str, folders)), "validation_fraction": 0.2})

    def backwards(plan: list[Part], scratch: Path) -> list[tuple[Path, PartFacts]]:
        made = {}
        for part in reversed(plan):
            folder = tmp_path / f"elsewhere-{part.number}"
            made[part.number] = folder, run_part(part, section, tmp_path, 1, folder)
        return [made[part.number] for part in plan]

    assert [part.number for part in plan_parts(section, tmp_path, 1)] == [0, 1, 2]
    for name, make in (("here", None), ("there", backwards)):
        (tmp_path / name).mkdir()
        build_corpus(section, seed=1, downloads=tmp_path, directory=tmp_path / name, bus=SilentBus(), make_parts=make)
    files = sorted(path.name for path in (tmp_path / "here").iterdir())
    assert files == [
        *("attributes.jsonl", "documents.jsonl", "dropped.jsonl"),
        *("encoding_report.json", "ledger.json", "quarantine.jsonl"),
    ]
    for name in files:
        assert digest_file(tmp_path / "here" / name) == digest_file(tmp_path / "there" / name), name


# ── decontamination ───────────────────────────────────────────────────────────────────────────────────


def test_documents_with_evaluation_text_are_dropped_and_counted(tmp_path: Path) -> None:
    texts = [_prose(number) for number in range(30)]
    question = " ".join(texts[4].split()[10:30]).upper()
    evaluation = tmp_path / "eval.jsonl"
    evaluation.write_text(json.dumps({"q": f"«{question}»?", "id": 7}) + "\n\n" + json.dumps({"q": "too short"}) + "\n")
    facts, documents = _corpus(
        tmp_path, [_folder(tmp_path, texts)], decontaminate={"files": [str(evaluation)], "ngram": 13}
    )
    assert [document.text for document in documents] == texts[:4] + texts[5:]
    assert facts.evaluation_rows.model_dump() == {"rows": 2, "ngrams": 8, "too_short": 1}
    ledger = CorpusLedger.model_validate_json((tmp_path / "corpus" / "ledger.json").read_text())
    (arrow,) = [arrow for arrow in ledger.arrows if arrow.arrow == "decontaminate"]
    assert [(c.reason, c.bytes, c.items) for c in arrow.changes] == [("evaluation_text", -len(texts[4]), -1)]
    (example,) = read_dropped(tmp_path / "corpus")
    assert (example.text, example.value) == (texts[4], pytest.approx(8 / 108))
    assert [found.reason for found in read_attributes(tmp_path / "corpus")] == ["evaluation_text"]
    assert facts.sources[f"decontaminate:{evaluation}"].sha256 == digest_file(evaluation)


def test_redacting_takes_out_the_copied_words_alone(tmp_path: Path) -> None:
    text = "Uno dos. «¿Cuántos años tenía la niña, que vivía en aquella casa de la colina?» Tres cuatro.\n"
    evaluation = tmp_path / "eval.txt"
    evaluation.write_text("cuántos años tenía la niña que vivía en aquella casa de la colina\n\nUno dos tres")
    section = DecontaminationSection(files=[evaluation], ngram=13, action="redact")
    overlap = Decontaminator(section).overlap(text)
    assert overlap is not None
    assert overlap.redacted == "Uno dos. «¿[…]?» Tres cuatro.\n"
    facts, documents = _corpus(
        tmp_path,
        [_folder(tmp_path, [text, _prose(1), _prose(2)])],
        decontaminate=section.model_dump(mode="json"),
    )
    assert documents[0].text == overlap.redacted
    assert facts.documents == 3


def test_only_the_named_fields_are_looked_at(tmp_path: Path) -> None:
    path = tmp_path / "eval.json"
    path.write_text(json.dumps([{"question": "a", "answer": {"text": ["b", "c"]}, "note": "d"}]))
    assert list(evaluation_texts(path, [])) == ["a", "b", "c", "d"]
    assert list(evaluation_texts(path, ["answer", "question"])) == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("name", "content", "code", "message"),
    [
        ("e.jsonl", b'{"a": "b"}\n{"a": \n', ErrorCode.CORRUPT_DATA, r"e.jsonl, line 2, is no JSON: Expecting value"),
        ("e.txt", b"ma\xf1ana", ErrorCode.ENCODING_ERROR, "e.txt is not UTF-8: byte 0xf1 at offset 2"),
        ("missing.json", None, ErrorCode.DATA_NOT_FOUND, "there is no file or folder .*missing.json"),
    ],
)
def test_evaluation_files_that_cannot_be_read(
    tmp_path: Path, name: str, content: bytes | None, code: ErrorCode, message: str
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises((DataError, RecipeError), match=message) as caught:
        Decontaminator(DecontaminationSection(files=[tmp_path / name]))
    assert caught.value.code == code


@pytest.mark.skipif(not GSM8K.is_file(), reason=f"{GSM8K} is not there")
def test_a_test_set_is_kept_out_of_a_corpus_that_holds_it(tmp_path: Path) -> None:
    questions = [json.loads(line)["messages"][0]["content"] for line in GSM8K.read_text().splitlines()]
    texts = [f"{_prose(number, 60)}\n{question}\n" for number, question in enumerate(questions[:40])]
    texts += [_prose(1000 + number) for number in range(40)]
    facts, documents = _corpus(tmp_path, [_folder(tmp_path, texts)], decontaminate={"files": [str(GSM8K)]})
    assert [document.text for document in documents] == texts[40:]
    # Every message has its role beside it.
    assert (facts.evaluation_rows.rows, facts.evaluation_rows.too_short) == (2000, 1000)
