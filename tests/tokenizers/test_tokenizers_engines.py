"""A faster engine is used only where its ids are the tokenizer's own, and watched while it works."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from loquela.core.errors import DataError, ErrorCode, ProofError, ResourceError
from loquela.monitoring.events import SilentBus
from loquela.recipe.schema import TokenizerSection
from loquela.tokenizers import engines
from loquela.tokenizers.engines import CheckedEngine, choose_engine
from loquela.tokenizers.load import load_tokenizer
from loquela.tokenizers.proof_strings import proof_strings
from loquela.tokenizers.train import train_tokenizer

tokie = pytest.importorskip("tokie", reason="the extra [data] is not installed")

TEXTS = [
    "The old miller counted sacks of flour before dawn and his niece drew the wheel.",
    "La niña del molino contó los sacos antes del alba; ¿quién abrió la puerta?",
    "Numbers 12, 345 and 6789 and <eos> are text here.",
] * 20


@pytest.fixture(scope="module", params=["bpe", "unigram", "wordpiece", "char", "word", "sentencepiece"])
def tokenizer_folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp(request.param)
    section = TokenizerSection(method=request.param, vocab_size=400)
    train_tokenizer(section, lambda: iter(TEXTS), lambda: iter(TEXTS[:3]), folder, SilentBus())
    return folder


def test_ids_are_the_tokenizers_own_whatever_the_engine(tokenizer_folder: Path) -> None:
    tokenizer = load_tokenizer(tokenizer_folder)
    engine, facts = choose_engine("auto", tokenizer_folder, tokenizer, TEXTS)
    texts = [*proof_strings(), *TEXTS]
    assert [ids.tolist() for ids in engine.encode_batch(texts)] == tokenizer.encode_batch(texts)
    assert facts.engine == engine.name
    if tokenizer.method in ("bpe", "unigram"):
        assert (facts.engine, facts.compared_texts) == ("tokie", 260), facts.reason
    if tokenizer.method == "wordpiece":  # tokie 0.1.4 drops the last word of a Japanese sentence
        assert "tokie cannot stand in for this tokenizer: token" in facts.reason
    if tokenizer.method == "sentencepiece":
        assert "a sentencepiece tokenizer has no tokenizer.json" in facts.reason


def test_the_library_can_be_asked_for(tokenizer_folder: Path) -> None:
    engine, facts = choose_engine("library", tokenizer_folder, load_tokenizer(tokenizer_folder), [])
    assert engine.name == facts.engine == "library"


@pytest.fixture
def bpe(tmp_path: Path) -> Path:
    section = TokenizerSection(method="bpe", vocab_size=300)
    train_tokenizer(section, lambda: iter(TEXTS), lambda: iter(TEXTS[:3]), tmp_path, SilentBus())
    return tmp_path


def swap_two_ids(folder: Path) -> None:
    """Make the file say something else than the tokenizer that was opened from it before."""
    path = folder / "tokenizer.json"
    document = json.loads(path.read_text())
    vocabulary = document["model"]["vocab"]
    vocabulary["a"], vocabulary["b"] = vocabulary["b"], vocabulary["a"]
    path.write_text(json.dumps(document))


def test_an_engine_that_differs_is_not_used(bpe: Path) -> None:
    tokenizer = load_tokenizer(bpe)
    swap_two_ids(bpe)
    _, facts = choose_engine("auto", bpe, tokenizer, [])
    assert facts.engine == "library"
    assert "tokie cannot stand in for this tokenizer: token" in facts.reason
    with pytest.raises(ProofError, match="tokie cannot stand in for this tokenizer: token .* is .*, not") as caught:
        choose_engine("tokie", bpe, tokenizer, [])
    assert caught.value.code is ErrorCode.TOKENIZATION_FAILED


def test_a_difference_while_it_works_stops_the_work(bpe: Path) -> None:
    tokenizer = load_tokenizer(bpe)
    swap_two_ids(bpe)
    engine = CheckedEngine(engines.tokie_engine(bpe / "tokenizer.json"), tokenizer)
    with pytest.raises(ProofError, match="tokie encodes a text otherwise than the tokenizer does: token 0 of 'a'"):
        engine.encode_batch(["a"])


def test_a_file_that_tokie_cannot_read(bpe: Path) -> None:
    tokenizer = load_tokenizer(bpe)
    (bpe / "tokenizer.json").write_text('{"model": {"type": "Unheard"}}')
    with pytest.raises(ProofError, match="tokie cannot read this tokenizer:"):
        choose_engine("tokie", bpe, tokenizer, [])


def test_text_that_is_no_unicode_is_refused_as_ever(bpe: Path) -> None:
    engine, facts = choose_engine("auto", bpe, load_tokenizer(bpe), [])
    assert facts.engine == "tokie"
    with pytest.raises(DataError, match="surrogate"):
        engine.encode_batch(["fine", "a\ud800b"])


def test_without_the_package(bpe: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(module: str, *, extra: str, purpose: str) -> None:
        raise ResourceError(ErrorCode.MISSING_EXTRA, f"{purpose} needs the package {module}", "install")

    monkeypatch.setattr("loquela.tokenizers.tokie_engine.require", absent)
    engine, facts = choose_engine("auto", bpe, load_tokenizer(bpe), [])
    assert (engine.name, facts.reason) == ("library", "compute.tokenizer_engine: tokie needs the package tokie")


def test_no_text_is_no_ids(bpe: Path) -> None:
    engine, _ = choose_engine("auto", bpe, load_tokenizer(bpe), [])
    assert engine.encode_batch([]) == []
    assert engine.encode_batch(["", "a"])[0].tolist() == []
    assert engine.encode_batch(["a"])[0].dtype == np.uint32


def test_there_are_two_hundred_proof_strings() -> None:
    texts = proof_strings()
    assert len(texts) == len(set(texts)) == 200
