"""What GGUF cannot hold is refused with the reason and the way out, before anything is trained or written."""

from __future__ import annotations

import json

import pytest
from gguf_models import LLAMA

from toy_run import make_tokenizer, tiny_config

pytest.importorskip("gguf", reason="the package gguf is not installed")
pytest.importorskip("xllamacpp", reason="the package xllamacpp is not installed")

from loquela.core.errors import ErrorCode, RecipeError
from loquela.export.contract import TokenizerFacts
from loquela.export.formats.gguf.exporter import GgufExporter
from loquela.export.formats.gguf.tensors import interleave
from loquela.export.formats.gguf.vocabulary import read_vocabulary

BPE = TokenizerFacts("bpe", "unigram")


@pytest.mark.parametrize(
    "family, shape, why",
    [
        ("lstm", {}, "llama.cpp computes no LSTM and no GRU"),
        ("gru", {}, "llama.cpp computes no LSTM and no GRU"),
        ("transformer", dict(activation="relu2"), "no architecture with .*norm layernorm, activation relu2"),
        ("transformer", dict(qk_norm=True), "activation gelu and qk_norm"),
        ("transformer", dict(norm="rmsnorm"), "no architecture with positions learned, norm rmsnorm"),
        ("transformer", LLAMA | dict(norm="layernorm"), "no architecture with positions rotary, norm layernorm"),
        ("transformer", LLAMA | dict(qk_norm=True, bias=True), r"with qk_norm \(qwen3\) has no biases"),
        ("transformer", LLAMA | dict(activation="relu2", bias=True), r"with activation relu2 \(arcee\) has no biases"),
        ("transformer", dict(head_dim=16), "heads that together are as wide as the model"),
    ],
)  # fmt: skip
def test_networks_that_llama_cpp_does_not_compute(family, shape, why):
    with pytest.raises(RecipeError, match=why) as caught:
        GgufExporter().check(tiny_config(300, family, **shape), BPE, "none")
    assert caught.value.code == ErrorCode.UNSUPPORTED_FORMAT
    assert "export.format" in caught.value.remedy


@pytest.mark.parametrize(
    "method, model_type, why",
    [
        ("char", "", "no tokenizer of single characters"),
        ("word", "", "no tokenizer of whole words"),
        ("wordpiece", "", "WordPiece drops control characters"),
        ("sentencepiece", "unigram", r"falls back to bytes and reads U\+2581 as a space"),
        ("somebody's own", "", "nothing that encodes as it does"),
    ],
)
def test_tokenizers_that_llama_cpp_does_not_have(method, model_type, why):
    with pytest.raises(RecipeError, match=why) as caught:
        GgufExporter().check(tiny_config(300), TokenizerFacts(method, model_type), "int8")
    assert caught.value.code == ErrorCode.UNSUPPORTED_FORMAT


@pytest.mark.parametrize("method, model_type", [("bpe", "unigram"), ("unigram", "unigram"), ("sentencepiece", "bpe")])
def test_what_can_be_exported_passes(method, model_type):
    GgufExporter().check(tiny_config(300), TokenizerFacts(method, model_type), "int4")
    GgufExporter().check(tiny_config(300, **LLAMA), TokenizerFacts(method, model_type), "int8")


@pytest.mark.parametrize(
    "method, why",
    [
        ("char", "knows no pre-tokenizer that cuts words as null"),
        ("word", "a tokenizer of type WordLevel to gguf"),
        ("wordpiece", "a tokenizer of type WordPiece to gguf"),
        ("sentencepiece", r"falls back to bytes and reads U\+2581 as a space"),
    ],
)
def test_folders_of_such_tokenizers_are_refused_too(tmp_path, method, why):
    make_tokenizer(tmp_path / "tokenizer", method, 420)
    with pytest.raises(RecipeError, match=why):
        read_vocabulary(tmp_path / "tokenizer")


@pytest.mark.parametrize(
    "change, why",
    [
        (dict(normalizer={"type": "NFKC"}), "it normalises text in more ways than NFC"),
        (dict(pre_tokenizer={"type": "ByteLevel", "add_prefix_space": True, "use_regex": True}), "add_prefix_space"),
        (dict(pre_tokenizer={"type": "Whitespace"}), "cuts words as .*Whitespace"),
    ],
)
def test_a_byte_level_bpe_made_elsewhere_must_cut_as_llama_cpp_can(tmp_path, change, why):
    make_tokenizer(tmp_path / "tokenizer", "bpe", 300)
    path = tmp_path / "tokenizer" / "tokenizer.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(RecipeError, match=why):
        read_vocabulary(tmp_path / "tokenizer")


def test_a_unigram_made_elsewhere_without_bytes_is_refused(tmp_path):
    make_tokenizer(tmp_path / "tokenizer", "unigram", 420)
    path = tmp_path / "tokenizer" / "tokenizer.json"
    document = json.loads(path.read_text())
    document["model"]["byte_fallback"] = False
    path.write_text(json.dumps(document))
    with pytest.raises(RecipeError, match="unigram model does not fall back to bytes"):
        read_vocabulary(tmp_path / "tokenizer")


def test_halves_of_a_head_become_pairs():
    import numpy as np

    rows = np.array([0, 1, 2, 10, 11, 12], np.float32)
    assert interleave(rows, 1).tolist() == [0, 10, 1, 11, 2, 12]
    two_heads = np.stack([rows, rows + 100], 1).T.reshape(-1)
    assert interleave(two_heads, 2).tolist() == [0, 10, 1, 11, 2, 12, 100, 110, 101, 111, 102, 112]
