"""Engines opened from folders: what the cache computes, what other tools compute, what a damaged folder says."""

import shutil

import pytest
import torch
from safetensors.torch import save_file

from loquela.artifacts.manifest import write_manifest
from loquela.artifacts.normalization import write_normalization
from loquela.core.errors import DataError
from loquela.inference.contracts import GenerateRequest, ScoreRequest
from loquela.inference.decoding import Decoding
from loquela.inference.model_engine import ModelEngine
from loquela.inference.open import open_engine
from loquela.inference.runtimes.torch_model import TorchRuntime
from loquela.inference.text_stream import Detokenizer
from loquela.models.build import build_model
from loquela.models.folder import load_model
from loquela.recipe.schema import NormalizationSection
from toy_run import make_run, make_tokenizer, tiny_config


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return make_run(tmp_path_factory.mktemp("runs") / "run")


@pytest.fixture(scope="module", params=["transformer", "lstm", "gru", "rotary"])
def engine(request, tmp_path_factory):
    changes = {}
    family = request.param
    if family == "rotary":
        family = "transformer"
        changes = {"positions": "rotary", "norm": "rmsnorm", "activation": "swiglu", "num_kv_heads": 2, "bias": False}
    return open_engine(make_run(tmp_path_factory.mktemp("family") / request.param, family, **changes))


def greedy_by_whole_forwards(model, prompt, count):
    tokens = list(prompt)
    with torch.inference_mode():
        for _ in range(count):
            tokens.append(int(model(torch.tensor([tokens]))[0, -1].argmax()))
    return tokens[len(prompt) :]


def greedy_by_cache(model, prompt, count):
    decoding = Decoding(TorchRuntime(model), prompt)
    tokens = [int(decoding.start().argmax())]
    while len(tokens) < count:
        tokens.append(int(decoding.advance(tokens[-1]).argmax()))
    return tokens


def test_the_cache_gives_what_whole_forwards_give(engine):
    prompt = engine.tokenizer.encode("Había una vez")
    assert greedy_by_cache(engine.model, prompt, 30) == greedy_by_whole_forwards(engine.model, prompt, 30)


def test_a_slid_window_sees_its_newer_half_and_goes_on(run):
    model = open_engine(run).model
    window = model.config.max_sequence_length
    prompt = list(range(10, 20))
    tokens = prompt + greedy_by_cache(model, prompt, window + 20)
    assert len(tokens) == window + 30
    # The cache was full after `window` tokens; from there the newest half and what came after is all that was read.
    with torch.inference_mode():
        for end in range(window + 1, window + 29):
            seen = tokens[window // 2 : end]
            assert tokens[end] == int(model(torch.tensor([seen]))[0, -1].argmax())


def test_recurrent_networks_never_slide(tmp_path):
    engine = open_engine(make_run(tmp_path / "run", "gru"))
    result = engine.generate(GenerateRequest(prompt_text="The old", max_new_tokens=80, stop_on_eos=False))
    assert result.steps == [80]
    assert result.notes == []


@pytest.mark.slow
def test_transformers_writes_the_same_tokens(run):
    from transformers import AutoModelForCausalLM

    engine = open_engine(run / "final")
    ids = engine.tokenizer.encode("The old man")
    theirs = AutoModelForCausalLM.from_pretrained(run / "final").generate(
        torch.tensor([ids]), attention_mask=torch.ones(1, len(ids)), max_new_tokens=40, do_sample=False
    )[0, len(ids) :]
    ours = engine.generate(GenerateRequest(prompt_text="The old man", max_new_tokens=40, temperature=0))
    assert ours.outputs[0] == engine.tokenizer.decode(theirs.tolist())
    assert ours.steps == [len(theirs)]


def test_the_score_is_that_of_one_whole_forward(engine):
    text = "The old man walked"
    ids = engine.tokenizer.encode(text)
    with torch.inference_mode():
        logits = engine.model(torch.tensor([[3, *ids[:-1]]]))[0]
    expected = torch.nn.functional.cross_entropy(logits, torch.tensor(ids))
    result = engine.score(ScoreRequest(text=text, detail_level="per_char", top_k=3))
    assert result.loss == pytest.approx(float(expected), rel=1e-5)
    assert "".join(entry.character for entry in result.characters) == text
    assert sum(entry.surprisal for entry in result.characters) == pytest.approx(result.loss * len(ids), rel=1e-5)
    assert all(len(position) == 3 for position in result.topk)


@pytest.mark.parametrize("method", ["bpe", "unigram", "wordpiece", "char", "word", "sentencepiece"])
def test_text_goes_on_where_the_prompt_ends_with_every_tokenizer(tmp_path, method):
    tokenizer = make_tokenizer(tmp_path / "tokenizer", method, 340)
    text = "Once upon a time, the fox dreamt: había una vez, ¡ñandú! 🦊日本  the  end.\n\n The old man"
    ids = tokenizer.encode(text)
    whole = tokenizer.decode(ids)
    for split in range(len(ids)):
        start = tokenizer.decode(ids[:split])
        if start.endswith("\ufffd"):
            continue  # a prompt is text: it never ends inside a character
        detokenizer = Detokenizer(tokenizer, ids[:split])
        pieces = [detokenizer.add(token) for token in ids[split:]]
        assert start + "".join(pieces) + detokenizer.finish() == whole
        assert all("\ufffd" not in piece for piece in pieces)


@pytest.mark.parametrize("method", ["bpe", "unigram"])
def test_an_untrained_model_never_ends_in_half_a_character(tmp_path, method):
    tokenizer = make_tokenizer(tmp_path / "tokenizer", method, 340)
    engine = ModelEngine(build_model(tiny_config(tokenizer.vocab_size), seed=3), tokenizer)
    request = GenerateRequest(prompt_text="Había", max_new_tokens=24, temperature=1, num_return_sequences=10)
    outputs = engine.generate(request).outputs
    assert not any(output.endswith("\ufffd") for output in outputs)
    single = request.model_copy(update={"num_return_sequences": 1})
    assert "".join(engine.stream(single)) == outputs[0]


def test_a_run_opens_best_before_final(run, tmp_path):
    both = shutil.copytree(run, tmp_path / "both")
    shutil.copytree(both / "final", both / "best")
    (both / "final" / "model.safetensors").write_bytes(b"")
    assert open_engine(both).model.config.d_model == 32
    with pytest.raises(DataError, match="final is damaged: model.safetensors has 0 bytes"):
        open_engine(both / "final")


def test_a_checkpoint_finds_the_tokenizer_of_its_run(run, tmp_path):
    copy = shutil.copytree(run, tmp_path / "copy")
    place = copy / "checkpoints" / "00000010"
    place.mkdir(parents=True)
    model = load_model(copy / "final")
    # As training writes it: our own names, without a folder format around them.
    save_file({name: tensor.contiguous() for name, tensor in model.state_dict().items()}, place / "model.safetensors")
    (place / "config.json").write_text(model.config.model_dump_json())
    write_manifest(place, "checkpoint")
    shutil.rmtree(copy / "final")
    assert open_engine(copy).tokenizer.vocab_size == open_engine(place).tokenizer.vocab_size


def test_the_normalisation_of_the_training_text_is_found_beside_the_tokenizer(run, tmp_path):
    copy = shutil.copytree(run / "tokenizer", tmp_path / "tokenizer")
    write_normalization(copy, NormalizationSection(lowercase=True))
    result = open_engine(run, copy).generate(GenerateRequest(prompt_text="The", max_new_tokens=1))
    assert result.notes == ["the text was normalised as the training text was"]
    assert open_engine(run).normalization == NormalizationSection(unicode="none")
    (copy / "normalization.json").write_text("[]")
    with pytest.raises(DataError, match=r"normalization\.json is no record of a normalisation"):
        open_engine(run, copy)


def test_a_flipped_byte_is_found(run, tmp_path):
    copy = shutil.copytree(run / "final", tmp_path / "final")
    weights = copy / "model.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)
    with pytest.raises(DataError, match=r"SHA-256 of model\.safetensors"):
        open_engine(copy)


def test_folders_that_hold_nothing_are_named(run, tmp_path):
    with pytest.raises(DataError, match="no such folder"):
        open_engine(tmp_path / "absent")
    with pytest.raises(DataError, match="there is no model in"):
        open_engine(tmp_path)
    bare = tmp_path / "a" / "b" / "bare"
    bare.mkdir(parents=True)
    for name in ("config.json", "model.safetensors"):
        shutil.copy(run / "final" / name, bare)
    with pytest.raises(DataError, match="has no tokenizer"):
        open_engine(bare)


def test_a_model_in_training_writes_samples_and_trains_on(engine):
    engine.model.train()
    engine.generate(GenerateRequest(prompt_text="The old", max_new_tokens=80, stop_on_eos=False))
    engine.score(ScoreRequest(text="The old man"))
    assert engine.model.training
    engine.model(torch.tensor([[5, 6, 7]])).logsumexp(-1).sum().backward()
    assert all(parameter.grad is not None for parameter in engine.model.parameters())
    engine.model.eval()
