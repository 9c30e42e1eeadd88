"""Duplicates: exact and folded ones are dropped, near ones share a side, clusters are those of the truth."""

import itertools
import json
import random
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loquela.artifacts.attributes import read_attributes, read_dropped
from loquela.artifacts.corpus import read_documents
from loquela.data.corpus.facts import CorpusFacts, CorpusLedger
from loquela.data.corpus.ingest import build_corpus
from loquela.data.corpus.near_duplicates import NearDuplicates, grams, near_duplicates, signature
from loquela.data.corpus.union import Components
from loquela.data.shingles import jaccard, ngram_hashes, word_hashes
from loquela.monitoring.events import SilentBus
from loquela.recipe.schema import DataSection

WEBTEXT = Path(__file__).parents[2] / "../shared/data/webtext"
PAZOS = Path(__file__).parents[2] / "../shared/data/documents/txt/pazos_nfd.txt"
WORDS = "la noche era clara y el viento movía las hojas del viejo olmo junto a casa sin hacer ruido".split()


def _prose(seed: int, words: int = 200) -> str:
    return " ".join(random.Random(seed).choices(WORDS, k=words)) + ".\n"


def _corpus(tmp_path: Path, texts: list[str], **settings_: object) -> tuple[CorpusFacts, Path]:
    folder = tmp_path / "texts"
    folder.mkdir(exist_ok=True)
    for number, text in enumerate(texts):
        (folder / f"{number:03}.txt").write_text(text)
    directory = tmp_path / "corpus"
    directory.mkdir()
    section = DataSection.model_validate({"sources": [str(folder)], "min_corpus_bytes": 1, **settings_})
    facts = build_corpus(section, seed=1, downloads=tmp_path, directory=directory, bus=SilentBus())
    return facts, directory


def _changes(directory: Path) -> dict[str, tuple[int, int]]:
    ledger = CorpusLedger.model_validate_json((directory / "ledger.json").read_text())
    ledger.check()
    (found,) = [arrow for arrow in ledger.arrows if arrow.arrow == "deduplicate"]
    return {change.reason: (change.bytes, change.items) for change in found.changes}


def _words(text: str) -> list[str]:
    found = word_hashes(text)
    return [text[start:end] for start, end in zip(found.starts, found.ends, strict=True)]


def test_words_are_letters_digits_and_marks() -> None:
    assert _words("Don’t stop, naïve n\u0303andú_3! 你好 x\U0001f600y") == [
        *("Don", "t", "stop", "naïve", "n\u0303andú", "3", "你", "好", "x", "\U0001f600", "y"),
    ]
    assert _words("") == _words(" .\n") == []


def test_case_quotes_and_line_breaks_make_no_other_word() -> None:
    one, other = word_hashes("“Don't STOP,” said Ñandú.\n"), word_hashes("don’t\nstop - said ñandú")
    assert one.values.tolist() == other.values.tolist()
    assert len(set(word_hashes("a b ab ba aab").values.tolist())) == 5


@given(st.lists(st.sampled_from(WORDS), max_size=40), st.integers(1, 8))
@settings(max_examples=60, deadline=None)
def test_ngrams_are_equal_exactly_where_words_are(words: list[str], length: int) -> None:
    found = ngram_hashes(word_hashes(" ".join(words)).values, length).tolist()
    wanted = [tuple(words[i : i + length]) for i in range(max(1, len(words) - length + 1))] if words else []
    assert len(found) == len(wanted)
    for (one, first), (other, second) in itertools.combinations(zip(found, wanted, strict=True), 2):
        assert (one == other) == (first == second)


def test_signature_estimates_the_jaccard_similarity() -> None:
    random_numbers = np.random.default_rng(3)
    for shared in (300, 600, 800):
        estimates = []
        for _ in range(40):
            pool = random_numbers.integers(0, 2**63, 2000 - shared, dtype=np.uint64)
            first, second = pool[:1000], pool[1000 - shared :]
            estimates.append(float((signature(first) == signature(second)).mean()))
        wanted = shared / (2000 - shared)
        assert jaccard(first, second) == pytest.approx(wanted)
        # The mean of 40 estimates with a deviation of at most 0.05 each.
        assert np.mean(estimates) == pytest.approx(wanted, abs=0.032)


def _clusters(texts: list[str], threshold: float = 0.8) -> NearDuplicates:
    signatures = np.stack([signature(grams(text)) for text in texts])
    return near_duplicates(signatures, np.arange(len(texts)), threshold, lambda number: grams(texts[number]))


def _precision_recall(truth: list[str], cluster: list[int]) -> tuple[float, float]:
    pairs = list(itertools.combinations(range(len(truth)), 2))
    right = {pair for pair in pairs if truth[pair[0]] == truth[pair[1]]}
    found = {pair for pair in pairs if cluster[pair[0]] == cluster[pair[1]]}
    return len(right & found) / len(found), len(right & found) / len(right)


def test_made_up_editions_are_found_and_strangers_are_not() -> None:
    texts, truth = [], []
    for book in range(30):
        words = _prose(book).split()
        for edition in range(1 + book % 3):
            changed = list(words)
            for place in random.Random(f"{book}/{edition}").sample(range(200), edition):
                changed[place] = "erratum"
            texts.append(" ".join(changed).upper() if edition == 1 else " ".join(changed))
            truth.append(str(book))
    found = _clusters(texts)
    precision, recall = _precision_recall(truth, found.cluster.tolist())
    assert precision == 1.0
    assert recall >= 0.9


def test_threshold_is_kept_to() -> None:
    words = [f"w{number}" for number in range(204)]  # 200 5-grams
    other = [*words[:190], *(f"x{number}" for number in range(14))]  # 186 of them, of 214
    similarity = jaccard(grams(" ".join(words)), grams(" ".join(other)))
    assert similarity == pytest.approx(186 / 214)
    assert _clusters([" ".join(words), " ".join(other)], 0.86).cluster.tolist() == [0, 0]
    assert _clusters([" ".join(words), " ".join(other)], 0.88).cluster.tolist() == [0, 1]


@given(st.lists(st.tuples(st.integers(0, 19), st.integers(0, 19)), max_size=30))
@settings(max_examples=50, deadline=None)
def test_components_are_named_by_their_smallest(pairs: list[tuple[int, int]]) -> None:
    components = Components(np.arange(20))
    groups = [{number} for number in range(20)]
    for one, other in pairs:
        components.join(one, other)
        joined = groups[one] | groups[other]
        for number in joined:
            groups[number] = joined
    assert components.smallest().tolist() == [min(group) for group in groups]


def test_near_duplicates_share_a_side_and_are_kept_unasked(tmp_path: Path) -> None:
    texts = [_prose(number) for number in range(30)]
    texts += [text.replace("noche", "tarde", 2) for text in texts]
    facts, directory = _corpus(tmp_path, texts, validation_fraction=0.2, test_fraction=0.1)
    documents = list(read_documents(directory))
    assert len(documents) == 60
    assert facts.near_duplicates.clusters == 30
    for first, second in zip(documents[:30], documents[30:], strict=True):
        assert (first.split, first.group) == (second.split, second.group)
        assert first.group == first.id
    assert {document.split for document in documents} == {"train", "validation", "test"}
    known = {attributes.id: attributes for attributes in read_attributes(directory)}
    assert known[documents[31].id].cluster == documents[1].id
    assert 0.8 <= (known[documents[31].id].similarity or 0) < 1


def test_near_duplicates_are_dropped_when_asked(tmp_path: Path) -> None:
    texts = [_prose(number) for number in range(10)]
    near = texts[3].replace("noche", "tarde", 1)
    facts, directory = _corpus(tmp_path, [*texts, near], duplicates={"near": "drop"})
    assert facts.documents == 10
    assert _changes(directory) == {"near_duplicate": (-len(near.encode()), -1)}
    (example,) = read_dropped(directory)
    assert (example.arrow, example.reason, example.text) == ("deduplicate", "near_duplicate", near)
    assert (example.value or 0) > 0.8
    (attributes,) = [found for found in read_attributes(directory) if found.reason]
    assert attributes.duplicate_of == list(read_documents(directory))[3].id


def test_exact_duplicates_are_dropped_unless_told_otherwise(tmp_path: Path) -> None:
    texts = [_prose(number) for number in range(10)] * 2
    _, directory = _corpus(tmp_path, texts, duplicates={"exact": False, "near": "off"}, validation_fraction=0.3)
    documents = list(read_documents(directory))
    assert len(documents) == 20
    assert [document.split for document in documents[:10]] == [document.split for document in documents[10:]]
    assert _changes(directory) == {}


def test_folding_makes_case_form_and_space_the_same(tmp_path: Path) -> None:
    text = _prose(1)
    other = unicodedata.normalize("NFD", text.upper().replace(" ", "\n"))
    settings_ = {"normalization": {"unicode": "none"}, "duplicates": {"fold": True}}
    facts, directory = _corpus(tmp_path, [text, _prose(2), other, text], **settings_)
    assert facts.documents == 2
    assert _changes(directory) == {
        "folded_duplicate": (-len(other.encode()), -1),
        "exact_duplicate": (-len(text.encode()), -1),
    }


@pytest.mark.skipif(not PAZOS.is_file(), reason=f"{PAZOS} is not there")
@pytest.mark.parametrize("normalization", ["nfc", "none"])
def test_decomposed_text_is_a_duplicate_of_its_composed_form(tmp_path: Path, normalization: str) -> None:
    decomposed = PAZOS.read_text()
    composed = unicodedata.normalize("NFC", decomposed)
    assert composed != decomposed
    facts, directory = _corpus(
        tmp_path,
        [composed, decomposed],
        normalization={"unicode": normalization},
        duplicates={"fold": normalization == "none"},
    )
    documents = list(read_documents(directory))
    assert "".join(document.text for document in documents) == composed
    assert sum(items for _, items in _changes(directory).values()) == -facts.documents


@pytest.mark.skipif(not WEBTEXT.is_dir(), reason=f"{WEBTEXT} is not there")
def test_editions_of_the_same_chapters() -> None:
    rows = [json.loads(line) for line in (WEBTEXT / "near_duplicates_gutenberg.jsonl").read_text().splitlines()]
    found = _clusters([row["text"] for row in rows])
    assert _precision_recall([row["group"] for row in rows], found.cluster.tolist()) == (1.0, 1.0)


@pytest.mark.skipif(not WEBTEXT.is_dir(), reason=f"{WEBTEXT} is not there")
def test_duplicates_of_a_demonstration_set() -> None:
    rows = (WEBTEXT / "datajuicer_dedup_14.jsonl").read_text().splitlines()
    found = _clusters([json.loads(row)["text"] for row in rows])
    # One exact pair, two pairs of long English articles, one of Chinese notices.
    assert found.cluster.tolist() == [0, 1, 2, 3, 4, 5, 6, 7, 7, 9, 9, 6, 12, 12]
