"""Sources to corpus: every byte accounted for, the same corpus every time, and no corpus from bad input."""

import itertools
import json
import tracemalloc
from pathlib import Path

import pytest
from local_server import LocalServer
from test_data_sources import ALICE, QUIJOTE

from loquela.artifacts.corpus import read_documents
from loquela.core.digests import digest_file
from loquela.core.errors import DataError, ErrorCode, InternalError
from loquela.data.corpus.facts import CorpusFacts, CorpusLedger
from loquela.data.corpus.fingerprint import fingerprint
from loquela.data.corpus.ingest import build_corpus
from loquela.data.tally import ARROWS, Tally
from loquela.monitoring.events import EventBus, SilentBus
from loquela.recipe.schema import DataSection

BILINGUAL = Path(__file__).parents[2] / "../shared/data/bilingual_3mb.txt"
PARAGRAPHS = [f"Párrafo {n}: había una vez un número, {n * n}, que quería ser primo.\n\n" for n in range(60)]


def _ingest(tmp_path: Path, section: DataSection, seed: int = 1, name: str = "corpus") -> CorpusFacts:
    directory = tmp_path / name
    directory.mkdir()
    return build_corpus(section, seed=seed, downloads=tmp_path / "downloads", directory=directory, bus=SilentBus())


def _ledger(tmp_path: Path, name: str = "corpus") -> CorpusLedger:
    return CorpusLedger.model_validate_json((tmp_path / name / "ledger.json").read_text())


def _changes(ledger: CorpusLedger, arrow: str) -> dict[str, tuple[int, int]]:
    (found,) = [entry for entry in ledger.arrows if entry.arrow == arrow]
    return {change.reason: (change.bytes, change.items) for change in found.changes}


def test_documents_in_order_are_the_text(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("".join(PARAGRAPHS))
    facts = _ingest(tmp_path, DataSection(sources=[str(tmp_path / "a.txt")], document_bytes=256))
    documents = list(read_documents(tmp_path / "corpus"))
    assert "".join(document.text for document in documents) == "".join(PARAGRAPHS)
    assert {document.source for document in documents} == {str(tmp_path / "a.txt")}
    assert len({document.id for document in documents}) == facts.documents == len(documents)
    assert facts.bytes == len("".join(PARAGRAPHS).encode())
    assert facts.splits["validation"].documents in (1, 2)  # where the draw falls depends on the file's name
    ledger = _ledger(tmp_path)
    ledger.check()
    assert [arrow.arrow for arrow in ledger.arrows] == list(ARROWS)
    assert ledger.sources == facts.sources
    assert ledger.sources[str(tmp_path / "a.txt")].sha256 == digest_file(tmp_path / "a.txt")


def test_every_loss_has_a_reason(tmp_path: Path) -> None:
    root = tmp_path / "texts"
    root.mkdir()
    (root / "a.txt").write_bytes(b"\xef\xbb\xbf" + "".join(PARAGRAPHS).replace("\n", "\r\n").encode())
    (root / "b.txt").write_text("".join(PARAGRAPHS))
    (root / "blank.txt").write_text("\n \n")
    (root / "empty.txt").touch()
    (root / "picture.png").write_bytes(b"1234567")
    facts = _ingest(tmp_path, DataSection(sources=[str(root)], document_bytes=256))
    ledger = _ledger(tmp_path)
    whole = len("".join(PARAGRAPHS).encode())
    assert _changes(ledger, "read") == {"not_a_text_suffix": (-7, -1)}
    assert _changes(ledger, "decode") == {"byte_order_mark": (-3, 0), "crlf_to_lf": (-120, 0)}
    assert _changes(ledger, "cut")["blank"] == (-3, 0)
    assert _changes(ledger, "cut")["text_without_content"] == (0, -2)
    assert _changes(ledger, "deduplicate") == {"exact_duplicate": (-whole, -facts.documents)}
    assert facts.bytes == whole
    assert facts.sources[str(root)].texts == 4


def test_normalisation_is_counted(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("".join(PARAGRAPHS).replace("é", "e\u0301").replace("í", "i\u0301"))
    section = DataSection.model_validate(
        {"sources": [str(tmp_path / "a.txt")], "document_bytes": 256, "normalization": {"lowercase": True}}
    )
    _ingest(tmp_path, section)
    # two í a paragraph, each 3 bytes decomposed and 2 composed
    assert _changes(_ledger(tmp_path), "normalize")["nfc"] == (-120, 0)
    assert next(read_documents(tmp_path / "corpus")).text.startswith("párrafo 0: había")


def test_same_input_same_bytes_other_seed_other_split(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("".join(PARAGRAPHS))
    section = DataSection(sources=[str(tmp_path / "a.txt")], document_bytes=256, validation_fraction=0.2)
    facts = [_ingest(tmp_path, section, seed, f"{seed}{copy}") for seed, copy in ((1, "a"), (1, "b"))]
    files = [(tmp_path / name / "documents.jsonl").read_bytes() for name in ("1a", "1b")]
    assert files[0] == files[1]
    assert facts[0] == facts[1]
    for seed in range(2, 6):
        _ingest(tmp_path, section, seed, f"{seed}")
    assert any((tmp_path / f"{seed}/documents.jsonl").read_bytes() != files[0] for seed in range(2, 6))
    assert facts[0].model_dump(mode="json")["sources"] == fingerprint(section, tmp_path)


def test_parallel_stories_stay_on_one_side(tmp_path: Path) -> None:
    section = DataSection(sources=["builtin:stories"], stories=40, validation_fraction=0.1, document_bytes=300)
    facts = _ingest(tmp_path, section)
    documents = list(read_documents(tmp_path / "corpus"))
    sides = [
        {document.split for document in group}
        for _, group in itertools.groupby(documents, key=lambda document: document.language)
    ]
    assert len(sides) == 80
    assert all(len(side) == 1 for side in sides)
    assert all(english == spanish for english, spanish in zip(sides[::2], sides[1::2], strict=True))
    assert set(facts.languages) == {"en", "es"}
    assert facts.splits["validation"].documents > 0


def test_gutenberg_collection(server: LocalServer, tmp_path: Path) -> None:
    server.files["/cache/epub/11/pg11.txt"] = ALICE
    server.files["/files/2000/2000-8.txt"] = QUIJOTE
    section = DataSection.model_validate(
        {
            "sources": ["gutenberg:11", "gutenberg:2000"],
            "gutenberg_mirror": server.url,
            "allow_private_addresses": True,
            "min_corpus_bytes": 10,
        }
    )
    facts = _ingest(tmp_path, section)
    assert facts.languages == {"en": 1, "es": 1}
    assert {name: found.bytes for name, found in facts.sources.items()} == {
        "gutenberg:11": len(ALICE),
        "gutenberg:2000": len(QUIJOTE),
    }
    reasons = _changes(_ledger(tmp_path), "decode")
    assert set(reasons) == {
        "byte_order_mark",
        "crlf_to_lf",
        "iso8859-1_to_utf-8",
        "gutenberg_header",
        "gutenberg_credits",
        "gutenberg_footer",
    }
    assert reasons["iso8859-1_to_utf-8"] == (2, 0)  # two ñ


@pytest.mark.parametrize(
    ("content", "code", "message"),
    [
        (b"", ErrorCode.DATA_NOT_FOUND, "the sources hold no text"),
        (b"\n\n \n", ErrorCode.DATA_NOT_FOUND, "the sources hold no text"),
        (
            b"short\n",
            ErrorCode.INSUFFICIENT_DATA,
            "the corpus has 6 bytes in 1 documents; data.min_corpus_bytes is 1,000",
        ),
        (
            b"one line of text\n" * 90,
            ErrorCode.INSUFFICIENT_DATA,
            r"the corpus is 1 document\(s\), 1,530 bytes: too few",
        ),
        (bytes(range(256)) * 9, ErrorCode.CORRUPT_DATA, "is binary or damaged"),
        (b"ma\xf1ana\n" * 200, ErrorCode.ENCODING_ERROR, "byte 0xf1 at offset 2, line 1"),
    ],
)
def test_bad_input_makes_no_corpus(tmp_path: Path, content: bytes, code: ErrorCode, message: str) -> None:
    (tmp_path / "a.txt").write_bytes(content)
    strict = {"sources": [str(tmp_path / "a.txt")], "encoding": {"fallback": False, "on_invalid": "stop"}}
    with pytest.raises(DataError, match=message) as caught:
        _ingest(tmp_path, DataSection.model_validate(strict))
    assert caught.value.code == code
    assert caught.value.remedy
    assert not (tmp_path / "corpus" / "ledger.json").exists()


def test_source_that_changes_while_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("".join(PARAGRAPHS))
    (tmp_path / "corpus").mkdir()
    with pytest.raises(DataError, match=r"a.txt changed while it was read") as caught:
        build_corpus(
            DataSection(sources=[str(path)]),
            seed=1,
            downloads=tmp_path,
            directory=tmp_path / "corpus",
            bus=SilentBus(),
            between_documents=lambda: path.write_text("".join(PARAGRAPHS[1:])) and None,
        )
    assert caught.value.code == ErrorCode.DATA_CHANGED
    assert list((tmp_path / "corpus").iterdir()) == []


def test_trace_points(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("".join(PARAGRAPHS))
    (tmp_path / "corpus").mkdir()
    bus, names = EventBus(), []
    bus.subscribe(lambda event: names.append(event.name))
    build_corpus(
        DataSection(sources=[str(tmp_path / "a.txt")], document_bytes=512),
        seed=1,
        downloads=tmp_path,
        directory=tmp_path / "corpus",
        bus=bus,
    )
    assert names == [
        "data_source_connector.connection_attempt.v1",
        "data_source_connector.auth_success.v1",
        "data_source_connector.source_validated.v1",
        "data.source_read.v1",
        "dataset_builder.dataset_split_start.v1",
        "data_preprocessor.normalization_complete.v1",
    ]


def test_ledger_that_does_not_add_up_stops() -> None:
    tally = Tally()
    tally.enter("read", 10, 1)
    tally.leave("read", 9, 1)
    with pytest.raises(InternalError, match=r"does not add up at read: 10 bytes and \+0 make 10, but 9 came out"):
        tally.ledger()
    tally.change("read", "lost", -1)
    with pytest.raises(InternalError, match=r"does not add up at read → decode: 9 bytes and \+0 make 9, but 0 came"):
        tally.ledger()


def _peak_bytes(tmp_path: Path, megabytes: int) -> int:
    path = tmp_path / f"{megabytes}.txt"
    with path.open("w") as stream:
        for number in range(megabytes * 1000):
            stream.write(f"{number:09} " + "word " * 197 + ".\n\n")
    tracemalloc.start()
    _ingest(tmp_path, DataSection(sources=[str(path)], document_bytes=4096), name=str(megabytes))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


def test_memory_is_flat(tmp_path: Path) -> None:
    small, large = _peak_bytes(tmp_path, 2), _peak_bytes(tmp_path, 8)
    # 6 MB more text: a few numbers for each of 1500 documents, the n-grams of the held-out ones, and what the
    # interpreter has not collected yet
    assert large - small < 2_000_000


@pytest.mark.skipif(not BILINGUAL.is_file(), reason=f"{BILINGUAL} is not there")
def test_three_megabytes_of_two_languages(tmp_path: Path) -> None:
    facts = _ingest(tmp_path, DataSection(sources=[str(BILINGUAL)]))
    assert facts.bytes == facts.sources[str(BILINGUAL)].bytes == BILINGUAL.stat().st_size == 2_999_736
    assert "".join(d.text for d in read_documents(tmp_path / "corpus")).encode() == BILINGUAL.read_bytes()
    share = facts.splits["validation"].documents / facts.documents
    assert abs(share - 0.05) < 0.005
    assert json.loads((tmp_path / "corpus/ledger.json").read_text())["arrows"][-1]["items_out"] == facts.documents
