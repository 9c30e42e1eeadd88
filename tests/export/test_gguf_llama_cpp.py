"""GGUF files opened by llama.cpp itself: networks, tokenizers, quantisations, the growing sequence, refusals."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from gguf_models import LLAMA, SHAPES, exported

from toy_run import TEXTS, make_tokenizer

pytest.importorskip("xllamacpp", reason="the package xllamacpp is not installed")
pytest.importorskip("gguf", reason="the package gguf is not installed")

from loquela.artifacts.bundle import BundleFacts
from loquela.artifacts.word_cuts import PRE_TOKENIZERS
from loquela.core.errors import DataError, ErrorCode
from loquela.inference.runtimes import llama_cpp
from loquela.inference.runtimes.llama_cpp import LlamaModel, LlamaRuntime, open_runtime
from loquela.inference.runtimes.llama_library import llama_library
from loquela.tokenizers.contract import TokenizerConfig, TokenizerTrainRequest
from loquela.tokenizers.load import load_tokenizer
from loquela.tokenizers.methods import TOKENIZERS
from loquela.tokenizers.proof_strings import GREETINGS, proof_strings

VOCABULARY = 300
WINDOW = torch.randint(4, VOCABULARY, (64,), generator=torch.Generator().manual_seed(3)).tolist()
TEXT = [*TEXTS, *GREETINGS, "    four\n\n\nlines = [1, 22, 333]  # sign\n"] * 2


@pytest.fixture(scope="module")
def tokenizer_folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("gguf") / "tokenizer"
    make_tokenizer(folder, "bpe", VOCABULARY)
    return folder


def reference(model, tokens: list[int]) -> np.ndarray:
    with torch.inference_mode():
        return model(torch.tensor([tokens]))[0].numpy()


@pytest.mark.parametrize("shape", SHAPES)
def test_every_shape_that_is_taken_gives_the_logits_it_was_trained_to(tmp_path, tokenizer_folder, shape):
    model, file, written = exported(tmp_path, tokenizer_folder, VOCABULARY, **SHAPES[shape])
    runtime = LlamaRuntime(LlamaModel(file), 64, threads=1)
    try:
        logits = runtime.logits(WINDOW)
    finally:
        runtime.close()
    # llama.cpp looks GELU up in a table of half-precision numbers; the rest is float32 in another order.
    tolerance = 5e-3 if shape.startswith("gpt2") else 2e-5
    np.testing.assert_allclose(logits, reference(model, WINDOW), atol=tolerance)
    assert written.scheme == "f32"


@pytest.mark.parametrize("quantization, kl, size", [("int8", 2e-3, 0.55), ("int4", 0.2, 0.45)])
def test_blocks_cost_what_their_bits_say(tmp_path, tokenizer_folder, quantization, kl, size):
    model, file, written = exported(tmp_path, tokenizer_folder, VOCABULARY, quantization, **LLAMA)
    _, whole, _ = exported(tmp_path / "whole", tokenizer_folder, VOCABULARY, **LLAMA)
    runtime = LlamaRuntime(LlamaModel(file), 64, threads=1, exact=False)  # as bundles are opened
    try:
        found = torch.from_numpy(runtime.logits(WINDOW)).log_softmax(-1)
    finally:
        runtime.close()
    wanted = torch.from_numpy(reference(model, WINDOW)).log_softmax(-1)
    measured = (wanted.exp() * (wanted - found)).sum(-1).mean().item()
    assert 0 < measured < kl
    assert file.stat().st_size < size * whole.stat().st_size
    assert written.scheme.startswith({"int8": "q8_0", "int4": "q4_0, embeddings and head q8_0"}[quantization])


def test_a_growing_sequence_is_the_window_token_by_token(tmp_path, tokenizer_folder, monkeypatch):
    monkeypatch.setattr(llama_cpp, "ROOM_FOR_NEW_TOKENS", 2)  # so that the cache is made anew on the way
    monkeypatch.setattr(llama_cpp, "WINDOW_BATCH", 7)  # and a window is read in pieces
    _, file, _ = exported(tmp_path, tokenizer_folder, VOCABULARY, **LLAMA)
    runtime = LlamaRuntime(LlamaModel(file), 64, threads=1)
    try:
        window = runtime.logits(WINDOW)
        first = runtime.start(WINDOW[:20])
        rows = [first, *(runtime.step(token) for token in WINDOW[20:40])]
        assert np.array_equal(runtime.logits(WINDOW[:9]), window[:9])
        rows += [runtime.step(token) for token in WINDOW[40:]]
        kept = first.copy()
        np.testing.assert_allclose(np.stack(rows), window[19:], atol=1e-5)
        assert np.array_equal(runtime.start(WINDOW[:20]), kept)
    finally:
        runtime.close()
        runtime.close()


def test_half_precision_keys_hardly_add_to_what_rounding_the_weights_costs(tmp_path, tokenizer_folder):
    model, file, _ = exported(tmp_path, tokenizer_folder, VOCABULARY, "int8", **LLAMA)
    wanted = torch.from_numpy(reference(model, WINDOW)[19:]).log_softmax(-1)
    costs = {}
    for exact in (True, False):
        runtime = LlamaRuntime(LlamaModel(file), 64, threads=1, exact=exact)
        try:
            window = runtime.logits(WINDOW)[19:]
            grown = np.stack([runtime.start(WINDOW[:20]), *(runtime.step(token) for token in WINDOW[20:])])
        finally:
            runtime.close()
        for way, rows in (("window", window), ("token by token", grown)):
            found = torch.from_numpy(rows).log_softmax(-1)
            costs[way, exact] = (wanted.exp() * (wanted - found)).sum(-1).mean().item()
    for way in ("window", "token by token"):
        assert costs[way, True] != costs[way, False] < 1.5 * costs[way, True]


def test_more_tokens_than_the_context_are_refused(tmp_path, tokenizer_folder):
    _, file, _ = exported(tmp_path, tokenizer_folder, VOCABULARY)
    runtime = LlamaRuntime(LlamaModel(file), 64, threads=1)
    try:
        for call in (runtime.logits, runtime.start):
            with pytest.raises(DataError, match="65 tokens exceeds the model's context of 64"):
                call([*WINDOW, 5])
        runtime.start(WINDOW)
        with pytest.raises(DataError, match="65 tokens exceeds the model's context of 64") as caught:
            runtime.step(5)
        assert caught.value.code == ErrorCode.SEQUENCE_TOO_LONG
    finally:
        runtime.close()


def test_a_token_that_the_model_does_not_have_is_an_error_not_a_crash(tmp_path, tokenizer_folder):
    _, file, _ = exported(tmp_path, tokenizer_folder, VOCABULARY)
    runtime = LlamaRuntime(LlamaModel(file), 64, threads=1)
    try:
        with pytest.raises(DataError, match="could not compute 2 tokens") as caught:
            runtime.start([5, VOCABULARY])
        assert caught.value.code == ErrorCode.INFERENCE_FAILED
    finally:
        runtime.close()


def test_what_is_no_gguf_file_is_named_with_the_library_s_reason(tmp_path):
    path = tmp_path / "model.gguf"
    path.write_bytes(b"GGML" + bytes(100))
    with pytest.raises(DataError, match="llama.cpp does not load .*model.gguf: .*magic") as caught:
        LlamaModel(path)
    assert caught.value.code == ErrorCode.PRETRAINED_LOAD_FAILED


def test_the_reason_is_heard_after_another_user_of_the_library_took_the_listener_s_place(tmp_path):
    library = llama_library()
    deaf = type(library._callback)(lambda level, text, data: None)
    library.functions.llama_log_set(deaf, None)
    path = tmp_path / "model.gguf"
    path.write_bytes(b"GGML" + bytes(100))
    with pytest.raises(DataError, match="llama.cpp does not load .*model.gguf: .*magic"):
        LlamaModel(path)


def test_a_truncated_file_is_an_error(tmp_path, tokenizer_folder):
    _, file, _ = exported(tmp_path, tokenizer_folder, VOCABULARY)
    file.write_bytes(file.read_bytes()[:-4096])
    with pytest.raises(DataError, match="llama.cpp does not load .*not within the file bounds"):
        LlamaModel(file)


def train(folder: Path, method: str, model_type: str = "unigram"):
    """A tokenizer of several scripts that knows none of them whole, so that bytes and ties come up."""
    folder.mkdir(parents=True)
    request = TokenizerTrainRequest(train_texts=lambda: iter(TEXT), directory=folder)
    config = TokenizerConfig(method=method, vocab_size=900, min_frequency=2, model_type=model_type)
    TOKENIZERS.get(method).train(config, request)
    return load_tokenizer(folder)


def llama_model(tmp_path: Path, tokenizer_folder: Path, vocab_size: int) -> LlamaModel:
    _, file, _ = exported(tmp_path, tokenizer_folder, vocab_size)
    return LlamaModel(file)


@pytest.mark.parametrize("method, model_type", [("bpe", ""), ("sentencepiece", "bpe")])
def test_llama_cpp_encodes_every_proof_string_the_same(tmp_path, method, model_type):
    handle = train(tmp_path / "tokenizer", method, model_type or "unigram")
    model = llama_model(tmp_path, tmp_path / "tokenizer", handle.vocab_size)
    different = [text for text in proof_strings() if handle.encode(text) != model.encode(text)]
    assert different == []


def test_llama_cpp_cuts_unigram_text_into_the_same_pieces(tmp_path):
    """Equally likely cuts may come in another order; a byte-order mark at the start is dropped; nothing else."""
    handle = train(tmp_path / "tokenizer", "unigram")
    model = llama_model(tmp_path, tmp_path / "tokenizer", handle.vocab_size)
    reordered = 0
    for text in proof_strings():
        ours, theirs = handle.encode(text.removeprefix("\ufeff")), model.encode(text)
        assert sorted(ours) == sorted(theirs), text
        assert handle.decode(theirs) == text.removeprefix("\ufeff")
        reordered += ours != theirs
    assert reordered < 15


def test_embeddings_with_more_rows_than_tokens_keep_them(tmp_path, tokenizer_folder):
    model, file, _ = exported(tmp_path, tokenizer_folder, VOCABULARY + 4)
    runtime = LlamaRuntime(LlamaModel(file), 64, threads=1)
    try:
        assert runtime.vocab_size == VOCABULARY + 4
        np.testing.assert_allclose(runtime.logits(WINDOW), reference(model, WINDOW), atol=5e-3)
        assert runtime.encode("the fox") == load_tokenizer(tokenizer_folder).encode("the fox")
    finally:
        runtime.close()


@pytest.mark.parametrize("number", range(len(PRE_TOKENIZERS)), ids=[name for _, name in PRE_TOKENIZERS])
def test_each_named_pre_tokenizer_cuts_as_llama_cpp_does(tmp_path, number):
    import json

    from tokenizers import Tokenizer
    from tokenizers.decoders import ByteLevel as Decoder
    from tokenizers.models import BPE
    from tokenizers.pre_tokenizers import ByteLevel, PreTokenizer
    from tokenizers.trainers import BpeTrainer

    blank = Tokenizer(BPE())
    blank.pre_tokenizer = ByteLevel()
    document = json.loads(blank.to_str())
    document["pre_tokenizer"] = json.loads(
        json.dumps(PRE_TOKENIZERS[number][0]).replace('"use_regex"', '"trim_offsets": true, "use_regex"')
    )
    tokenizer = Tokenizer.from_str(json.dumps(document))
    assert isinstance(tokenizer.pre_tokenizer, PreTokenizer)
    tokenizer.decoder = Decoder()
    trainer = BpeTrainer(
        vocab_size=1500, special_tokens=["<|endoftext|>"], initial_alphabet=ByteLevel.alphabet(), show_progress=False
    )
    tokenizer.train_from_iterator([*TEXT, *proof_strings()], trainer)
    folder = tmp_path / "tokenizer"
    folder.mkdir()
    tokenizer.save(str(folder / "tokenizer.json"))
    handle = load_tokenizer(folder)
    model = llama_model(tmp_path, folder, handle.vocab_size)
    assert [text for text in proof_strings() if handle.encode(text) != model.encode(text)] == []


def bundle_facts(**changes) -> BundleFacts:
    return BundleFacts(
        format="gguf", quantization="none", scheme="f32", family="transformer", parameters=1000, eos_id=3,
        model_file="model.gguf", runtime="llama.cpp", **({"context": 64, "vocab_size": VOCABULARY} | changes),
    )  # fmt: skip


@pytest.mark.parametrize("fact, value", [("context", 4096), ("context", 8), ("vocab_size", 299)])
def test_facts_that_are_not_the_file_s_are_refused_before_they_crash_anything(tmp_path, tokenizer_folder, fact, value):
    _, file, _ = exported(tmp_path, tokenizer_folder, VOCABULARY)
    with pytest.raises(DataError, match=f"says {fact} {value}, model.gguf was made for") as caught:
        open_runtime(file.parent, bundle_facts(**{fact: value}))
    assert caught.value.code == ErrorCode.CORRUPTION


def test_a_process_that_runs_a_gguf_bundle_loads_no_torch(tmp_path, tokenizer_folder):
    _, file, _ = exported(tmp_path, tokenizer_folder, VOCABULARY)
    (file.parent / "bundle.json").write_text(bundle_facts().model_dump_json())
    script = (
        "import sys, pathlib\n"
        "from loquela.artifacts.bundle import BundleFacts\n"
        "from loquela.inference.runtimes.registry import runtime_opener\n"
        "folder = pathlib.Path(sys.argv[1])\n"
        "facts = BundleFacts.model_validate_json((folder / 'bundle.json').read_bytes())\n"
        "runtime = runtime_opener('llama.cpp')(folder, facts)\n"
        "assert runtime.start([5, 6]).shape == runtime.step(7).shape == (300,)\n"
        "heavy = {'torch', 'transformers', 'gguf', 'xllamacpp'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run([sys.executable, "-c", script, str(file.parent)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
