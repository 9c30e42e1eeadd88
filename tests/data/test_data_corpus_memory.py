"""A corpus is joined over columns on disk: the same whatever is in memory, and hardly more for more documents."""

import itertools
import json
import random
import tracemalloc
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loquela.core.errors import ErrorCode, ResourceError
from loquela.data.corpus import columns, leakage, near_duplicates, prefixes, spool, union
from loquela.data.corpus.columns import Columns
from loquela.data.corpus.decide import EXACT, KEPT, decide
from loquela.data.corpus.ingest import build_corpus
from loquela.data.corpus.leakage import LeakageMeter
from loquela.data.corpus.parts import PartFacts
from loquela.data.corpus.spool import DRAFTS_NAME, ROW, ROWS_NAME, number_of
from loquela.data.corpus.units import TextRuns
from loquela.monitoring.events import SilentBus
from loquela.recipe.schema import DataSection

WORDS = "la noche era clara y el viento movía las hojas del viejo olmo junto a casa sin hacer ruido".split()


def test_columns_keep_their_values_when_they_leave_memory(tmp_path: Path) -> None:
    found = Columns(tmp_path, 100_000)
    numbers, marks = found.numbers(), found.make(np.int8)
    marks[7] = 3
    for here in found.blocks():
        assert numbers[here].tolist() == list(range(here.start, here.stop))
    found.release()
    assert marks.tolist().count(0) == 99_999
    assert marks[7] == 3
    assert list(tmp_path.iterdir()) == []  # the files have no name
    thirds = found.make(np.int64)
    thirds[:] = np.arange(100_000) % 3
    sizes = found.group_sizes(thirds, lambda here: numbers[here] >= 40_000)
    assert sizes[:4].tolist() == [20_000, 20_000, 20_000, 0]


@pytest.mark.parametrize("count", [0, 5])
def test_no_folder_is_memory(count: int) -> None:
    assert Columns(None, count).numbers().tolist() == list(range(count))


def test_columns_without_a_place_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ResourceError, match="writing .*gone failed") as caught:
        Columns(tmp_path / "gone", 1).make(np.int8)
    assert caught.value.code is ErrorCode.WRITE_FAILED
    with pytest.raises(ResourceError, match="writing .*gone failed"):
        LeakageMeter(0, tmp_path / "gone")


@given(
    st.lists(st.integers(0, 2**64 - 1), max_size=60),
    st.sampled_from([1, 40_000, 70_000, 10**6, 10**9]),
)
@settings(max_examples=60, deadline=None)
def test_every_key_has_one_prefix_and_they_rise(numbers: list[int], count: int) -> None:
    keys = np.array(numbers, dtype=np.uint64)
    places = [prefix.of(keys) for prefix in prefixes.prefixes(count)]
    assert len(places) <= 64
    assert sorted(np.concatenate(places).tolist()) == list(range(len(keys)))
    bounds = [(keys[found].min(), keys[found].max()) for found in places if len(found)]
    assert all(one[1] < other[0] for one, other in itertools.pairwise(bounds))


@given(st.lists(st.lists(st.integers(1, 4), min_size=1, max_size=6), max_size=6))
@settings(max_examples=60, deadline=None)
def test_runs_of_texts_are_counted_across_blocks(blocks: list[list[int]]) -> None:
    """The steps between the texts of neighbours, cut anywhere."""
    runs = TextRuns()
    texts: list[int] = []
    pairs: list[tuple[int, int]] = []
    for steps in blocks:
        start = len(texts)
        for step in steps:
            texts.append((texts[-1] if texts else 0) + step // 3)
        members = np.arange(start, len(texts), dtype=np.int64)
        pairs += runs.add(members, np.array(texts[start:], dtype=np.uint64))
    counts = Counter(texts)
    assert (runs.documents, runs.texts, runs.largest) == (len(texts), len(counts), max([0, *counts.values()]))
    assert pairs == [(n - 1, n) for n in range(1, len(texts)) if texts[n] == texts[n - 1]]


def _material(folder: Path) -> None:
    """Books of several documents, some twice, some changed a little, and rows that belong together."""
    drawn = random.Random(5)
    folder.mkdir()
    books = [
        [
            "".join(f"{drawn.choice(WORDS)}{drawn.randrange(60)} " for _ in range(60))
            for _ in range(drawn.randrange(1, 7))
        ]
        for _ in range(70)
    ]
    for number, book in enumerate(books):
        (folder / f"{number:03}.txt").write_text("\n\n".join(book))
        if number % 7 == 0:
            (folder / f"{number:03}-again.txt").write_text("\n\n".join([*book[1:], book[0].upper()]))
        if number % 9 == 0:
            (folder / f"{number:03}-other.txt").write_text("\n\n".join(text.replace("1", "uno", 1) for text in book))
    rows = [{"text": "\n\n".join(books[n][:2]) + str(n), "of": str(n % 5), "topic": "ab"[n % 2]} for n in range(40)]
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


@pytest.mark.parametrize(
    "changes",
    [
        {"duplicates": {"near": "drop", "fold": True}, "test_fraction": 0.1},
        {"duplicates": {"exact": False}, "split_unit": "source", "stratify_by": "label:topic"},
        {"duplicates": {"near": "off"}, "validation_fraction": 0.2, "test_fraction": 0.1},
    ],
)
def test_what_is_in_memory_at_once_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changes: dict[str, object]
) -> None:
    _material(tmp_path / "texts")
    entry = {"address": str(tmp_path / "texts"), "labels": ["topic"], "split_by": "of"}
    section = DataSection.model_validate(
        {"sources": [entry], "document_bytes": 500, "validation_fraction": 0.1, "min_corpus_bytes": 1, **changes}
    )
    for name in ("at_once", "by_few"):
        (tmp_path / name).mkdir()
        facts = build_corpus(section, seed=1, downloads=tmp_path, directory=tmp_path / name, bus=SilentBus())
        assert facts.documents > 200
        for module in (columns, near_duplicates):
            monkeypatch.setattr(module, "BLOCK_DOCUMENTS", 8)
        monkeypatch.setattr(union, "BLOCK_NUMBERS", 4)
        monkeypatch.setattr(prefixes, "PREFIX_DOCUMENTS", 16)
        monkeypatch.setattr(spool, "BLOCK_ROWS", 5)
        monkeypatch.setattr(spool, "BLOCK_SIGNATURES", 3)
        monkeypatch.setattr(leakage, "BLOCK_NGRAMS", 7)
        monkeypatch.setattr(near_duplicates, "BLOCK", 3)
        monkeypatch.setattr(near_duplicates, "REMEMBERED_PAIRS", 2)
    files = sorted(path.name for path in (tmp_path / "at_once").iterdir())
    assert len(files) == 6
    for name in files:
        assert (tmp_path / "at_once" / name).read_bytes() == (tmp_path / "by_few" / name).read_bytes(), name


def _peak_bytes(folder: Path, count: int) -> int:
    """What deciding takes, of `count` documents of which every tenth is a copy, cut from texts of three each."""
    folder.mkdir()
    drawn = np.random.default_rng(2)
    rows = np.zeros(count, dtype=ROW)
    rows["key"] = drawn.integers(0, 2**64 - 1, (count, 2), dtype=np.uint64)
    rows["key"][9::10] = rows["key"][:-9:10]
    rows["id"], rows["bytes"], rows["text"] = rows["key"], 100, np.arange(count) // 3
    rows["stratum"] = number_of("a")
    rows.tofile(folder / ROWS_NAME)
    (folder / DRAFTS_NAME).touch()
    del rows
    facts = PartFacts(number=0, documents=count, arrows=[], strata=["a"])
    section = DataSection.model_validate({"duplicates": {"near": "off"}})
    tracemalloc.start()
    found = decide([folder], [facts], section, 1, folder)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (int(np.count_nonzero(found.fate == EXACT)), found.stands_for(19)) == (count // 10, 10)
    assert found.units.strata["a"].unit == "source"
    kept = found.fate == KEPT
    assert int(np.count_nonzero(found.side[kept] > 0)) == pytest.approx(0.05 * count, rel=0.25)
    assert len(list(folder.iterdir())) == 2
    return peak


def test_more_documents_take_hardly_more_memory(tmp_path: Path) -> None:
    small, large = (_peak_bytes(tmp_path / str(count), count) for count in (50_000, 100_000))
    # One byte for each unit, and what grows with that.
    assert large - small < 4 * 50_000


def test_reports_of_many_objects_are_one_json_file(tmp_path: Path) -> None:
    folder = tmp_path / "texts"
    folder.mkdir()
    names = ["a.txt", "line\u2028separator.txt", "ñandú.txt"]
    for number, name in enumerate(names):
        (folder / name).write_text(f"{WORDS} {number}\n" * 5)
    section = DataSection.model_validate({"sources": [str(folder)], "min_corpus_bytes": 1})
    (tmp_path / "corpus").mkdir()
    build_corpus(section, seed=1, downloads=tmp_path, directory=tmp_path / "corpus", bus=SilentBus())
    written = (tmp_path / "corpus/encoding_report.json").read_text(encoding="utf-8")
    found = json.loads(written)
    assert [Path(report["object"]).name for report in found["objects"]] == names
    assert written == json.dumps(found, indent=2, ensure_ascii=False) + "\n"
