"""Training: what is written, what is said, what is refused; and the door for other people's methods."""

from __future__ import annotations

from pathlib import Path

import pytest
from tokenizer_samples import HELD_OUT, METHODS, TRAINING, section, train, trained

from loquela.core.errors import DataError, ErrorCode, InternalError, LoquelaError, RecipeError
from loquela.core.registry import Registry
from loquela.monitoring.events import Event, EventBus, SilentBus
from loquela.recipe.schema import BUILT_IN_TOKENIZERS, tokenizer_methods
from loquela.tokenizers.contract import TokenizerBackend, TokenizerTrainRequest
from loquela.tokenizers.counting import chunks, count, within
from loquela.tokenizers.load import load_tokenizer
from loquela.tokenizers.manifest import TokenizerManifest, read_tokenizer_manifest
from loquela.tokenizers.methods import TOKENIZERS
from loquela.tokenizers.statistics import measure
from loquela.tokenizers.train import train_tokenizer


def manifest_of(method: str) -> TokenizerManifest:
    manifest = read_tokenizer_manifest(trained(method))
    assert manifest is not None
    return manifest


@pytest.mark.parametrize("method", METHODS)
def test_the_manifest_says_what_was_made(method: str) -> None:
    manifest = manifest_of(method)
    assert (manifest.method, manifest.origin, manifest.source) == (method.partition(":")[0], "trained", None)
    assert manifest.special_ids == {"pad": 0, "unk": 1, "bos": 2, "eos": 3}
    assert manifest.config.vocab_size == manifest.statistics.vocab_size <= 420
    assert manifest.statistics.requested_vocab_size == 420
    assert manifest.statistics.documents == len(HELD_OUT)
    names = {record.path for record in manifest.files}
    assert names == ({"tokenizer.model"} if "sentence" in method else {"tokenizer.json", "tokenizer_config.json"})
    assert bool(manifest.statistics.loses) == (method not in ("bpe", "unigram"))


@pytest.mark.parametrize("method", METHODS)
def test_a_corpus_too_small_for_the_vocabulary_is_said(method: str, tmp_path: Path) -> None:
    stats = train(method, tmp_path, vocab_size=50_000)
    assert stats.requested_vocab_size == 50_000 > stats.vocab_size
    assert f"the training text gives {stats.vocab_size} tokens; 50000 were asked for" in stats.notes
    assert load_tokenizer(tmp_path).vocab_size == stats.vocab_size


@pytest.mark.parametrize(
    ("method", "reason"),
    [
        ("bpe", "4 special tokens and the 256 bytes"),
        ("unigram", "an alphabet of"),
        ("sentencepiece", "an alphabet of"),
        ("sentencepiece:bpe", "an alphabet of"),
        ("wordpiece", "every character, at the start of a word and inside one"),
        ("char", "48 characters seen 2 times or more"),
    ],
)
def test_a_vocabulary_smaller_than_the_alphabet_names_the_number_needed(
    method: str, reason: str, tmp_path: Path
) -> None:
    with pytest.raises(RecipeError, match=f"tokenizer.vocab_size 16 is too small for .*{reason}") as caught:
        train(method, tmp_path, vocab_size=16)
    assert caught.value.code == ErrorCode.TOKENIZER_TRAIN_FAILED
    needed = caught.value.details["needed"]
    assert isinstance(needed, int)
    assert caught.value.remedy == f"set tokenizer.vocab_size: {needed} or more"
    with pytest.raises(RecipeError, match="too small"):
        train(method, tmp_path, vocab_size=needed - 1)
    assert train(method, tmp_path, vocab_size=needed).vocab_size <= needed


def test_a_word_vocabulary_needs_one_word(tmp_path: Path) -> None:
    backend = TOKENIZERS.get("word")
    config = manifest_of("word").config.model_copy(update={"vocab_size": 4})
    request = TokenizerTrainRequest(train_texts=lambda: iter(TRAINING), directory=tmp_path)
    with pytest.raises(RecipeError, match="vocab_size 4 is too small for word: .* and one word, 5 in all"):
        backend.train(config, request)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("texts", [[], ["", ""]])
def test_no_text_is_refused(method: str, texts: list[str], tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no text to learn from") as caught:
        train(method, tmp_path, texts)
    assert caught.value.code == ErrorCode.TOKENIZER_TRAIN_FAILED


@pytest.mark.parametrize("method", ["unigram", "char", "word", "sentencepiece"])
def test_text_rarer_than_min_frequency_is_refused(method: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"nothing occurs 3 times in the training text.*\n.*min_frequency: 1"):
        train(method, tmp_path, ["ab"], min_frequency=3)


@pytest.mark.parametrize("method", METHODS)
def test_an_error_of_the_text_source_comes_through(method: str, tmp_path: Path) -> None:
    def broken():
        yield "the cat"
        raise DataError(ErrorCode.READ_FAILED, "the disk went away", "plug it in")

    with pytest.raises(LoquelaError, match="the disk went away"):
        train_tokenizer(section(method), broken, lambda: iter(HELD_OUT), tmp_path, SilentBus())


@pytest.mark.parametrize("method", METHODS)
def test_training_text_with_a_lone_surrogate_is_refused(method: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="lone surrogate at character 1"):
        train(method, tmp_path, ["a\ud800b"] * 3)


def test_what_the_trainer_refuses_becomes_our_error(tmp_path: Path) -> None:
    config = manifest_of("sentencepiece").config.model_copy(update={"model_type": "nonsense", "vocab_size": 420})
    request = TokenizerTrainRequest(train_texts=lambda: iter(TRAINING), directory=tmp_path)
    with pytest.raises(DataError, match="training the sentencepiece tokenizer failed: .*nonsense"):
        TOKENIZERS.get("sentencepiece").train(config, request)


def test_start_and_end_are_told_on_the_bus(tmp_path: Path) -> None:
    bus, events = EventBus(), list[Event]()
    bus.subscribe(events.append)
    train_tokenizer(section("char"), lambda: iter(TRAINING), lambda: iter(HELD_OUT), tmp_path, bus)
    assert [event.name for event in events] == [
        "tokenizer_trainer.train_start.v1",
        "tokenizer_trainer.train_complete.v1",
    ]
    assert events[1].data["token_count"] == sum(map(len, HELD_OUT))


def test_statistics_by_hand(tmp_path: Path) -> None:
    train("char", tmp_path, ["abc d\n" * 2])
    handle = load_tokenizer(tmp_path)
    # a, b, c, d, space and newline are known; é (2 bytes) and z are not
    stats = measure(handle, lambda: iter(["ab cd", "é\nz a", "", "abcdabcdab"]))
    assert (stats.documents, stats.characters, stats.bytes, stats.words) == (4, 20, 21, 6)
    assert (stats.token_count, stats.unknown_tokens) == (20, 2)
    assert (stats.oov_rate, stats.coverage, stats.char_coverage) == (0.1, 0.9, 0.9)
    assert (stats.characters_per_token, stats.bytes_per_token, stats.tokens_per_word) == (1.0, 21 / 20, 20 / 6)
    assert stats.exact_round_trips == 0.75
    assert stats.lengths is not None
    assert stats.lengths.model_dump() == {
        "minimum": 0, "p50": 5, "p90": 10, "p95": 10, "p99": 10, "maximum": 10, "mean": 5.0,
    }  # fmt: skip


def test_statistics_of_nothing(tmp_path: Path) -> None:
    stats = train_tokenizer(section("bpe"), lambda: iter(TRAINING), lambda: iter([]), tmp_path, SilentBus())
    assert (stats.documents, stats.bytes_per_token, stats.oov_rate, stats.lengths) == (0, None, None, None)
    assert "no held-out text: nothing was measured" in stats.notes


def test_unknown_tokens_are_counted_and_said() -> None:
    statistics = manifest_of("word").statistics
    assert statistics.unknown_tokens == 2  # "mats" and "zebra"
    assert f"2 of {statistics.token_count} held-out tokens are unknown" in statistics.notes
    assert statistics.exact_round_trips == 0


def test_the_backend_measures_encodes_and_decodes_as_its_handle() -> None:
    backend = TOKENIZERS.get("bpe")
    handle = backend.load(str(trained("bpe")))
    ids = backend.encode(handle, "the cat")
    assert ids == handle.encode("the cat")
    assert backend.decode(handle, ids) == "the cat"
    assert backend.inspect(handle, lambda: iter(HELD_OUT)).token_count == manifest_of("bpe").statistics.token_count


def test_every_built_in_backend_has_the_name_it_is_registered_under() -> None:
    for name in TOKENIZERS.names():
        assert TOKENIZERS.get(name).name() == name
        assert name in TOKENIZERS.get(name).supported_methods()


def test_an_unknown_method_names_the_nearest() -> None:
    with pytest.raises(RecipeError, match="no such tokenizer 'unigrm'; did you mean 'unigram'"):
        TOKENIZERS.get("unigrm")
    with pytest.raises(ValueError, match="no such tokenizer 'bep'; did you mean 'bpe'"):
        section("bep")


STRANGER = """
from pathlib import Path
from loquela.tokenizers.backends.char import CharBackend

class Shouting(CharBackend):
    def name(self): return "shouting"
    def supported_methods(self): return {"shouting"}
"""


def test_a_strangers_package_adds_a_method(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site = tmp_path / "site"
    information = site / "shouting-1.0.dist-info"
    information.mkdir(parents=True)
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: shouting\nVersion: 1.0\n")
    (information / "entry_points.txt").write_text("[loquela.tokenizers]\nshouting = shouting_tokenizer:Shouting\n")
    (site / "shouting_tokenizer.py").write_text(STRANGER)
    monkeypatch.syspath_prepend(str(site))
    registry: Registry[TokenizerBackend] = Registry("tokenizer", "loquela.tokenizers")
    monkeypatch.setattr("loquela.tokenizers.train.TOKENIZERS", registry)
    train("shouting", tmp_path / "made")
    assert registry.names() == ["shouting"]
    expected = load_tokenizer(trained("char")).encode("the")
    monkeypatch.setattr("loquela.tokenizers.load.TOKENIZERS", registry)
    assert load_tokenizer(tmp_path / "made").encode("the") == expected


def test_a_backend_that_does_not_train_its_own_name_is_an_internal_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry: Registry[TokenizerBackend] = Registry("tokenizer", "loquela.tokenizers")
    registry.register("bpe", "loquela.tokenizers.backends.char:CharBackend")
    monkeypatch.setattr("loquela.tokenizers.train.TOKENIZERS", registry)
    with pytest.raises(InternalError, match=r"registered as 'bpe' says that it trains \['char'\]"):
        train("bpe", tmp_path)


def test_chunks_joined_are_the_text() -> None:
    text = "  a bc\n\n\td" + "x" * 1000 + " " * 200
    assert "".join(chunks([text])) == text
    assert list(chunks(["the cat\n\nsat "])) == ["the", " cat", "\n\nsat", " "]


def test_counting_drops_the_rarest_to_stay_small() -> None:
    counts, dropped = count("aaabbcabdaeaf", most_distinct=3)
    assert counts["a"] == 6
    assert len(counts) <= 3
    assert dropped >= 1
    assert count("aab") == ({"a": 2, "b": 1}, 0)


def test_pieces_are_cut_at_characters_that_are_not_learnt() -> None:
    counts, _ = count(["a\tb", "ab", "ab", "\t"])
    assert within(counts, {"a", "b"}) == {"a": 1, "b": 1, "ab": 2}


def test_the_page_names_every_method_and_file() -> None:
    page = (Path(__file__).parents[2] / "docs/tokenizers.md").read_text(encoding="utf-8")
    for name in [*BUILT_IN_TOKENIZERS, "tokenizer.json", "tokenizer.model", "tokenizer_manifest.json"]:
        assert f"`{name}`" in page


def test_the_recipe_and_the_registry_know_the_same_methods() -> None:
    assert set(BUILT_IN_TOKENIZERS) <= set(TOKENIZERS.names())
    assert set(TOKENIZERS.names()) == set(tokenizer_methods())
