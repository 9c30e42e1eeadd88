"""Bases, adapters and merged models write what transformers writes and end where they should; others are refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
import transformers

from loquela.artifacts.base import write_base
from loquela.artifacts.manifest import write_manifest
from loquela.core.errors import DataError, ErrorCode
from loquela.inference.chat_contracts import ChatMessage, ChatRequest
from loquela.inference.contracts import GenerateRequest, ScoreRequest
from loquela.inference.engine import Engine
from loquela.inference.model_engine import ModelEngine
from loquela.inference.open import open_engine
from loquela.inference.open_chat import open_chat
from loquela.inference.runtimes.pretrained import PretrainedRuntime
from loquela.inference.text_edges import beginning_id, stop_ids
from loquela.models.pretrained.adapters import adapter_tensors, attach_new, save_adapter
from loquela.models.pretrained.identify import identify
from loquela.models.pretrained.load import load_base_model
from loquela.models.pretrained.open import open_base
from loquela.recipe.finetune_section import LoraOptions
from toy_bases import SHAPES, VOCABULARY, copied_base, toy_base

PROMPT = "The river runs"
# What is left of a character at the end is not shown by the engine.
CUT = "\N{REPLACEMENT CHARACTER}"
# The toys' embeddings have more rows than their tokenizer has tokens; the engine never chooses those.
NO_TOKENS = list(range(389, VOCABULARY))
COMPUTED_BY_US = ("llama", "smollm", "mistral", "qwen2", "qwen3", "smollm3", "gpt2")


def _greedy(engine: Engine, tokens: int = 12) -> str:
    request = GenerateRequest(prompt_text=PROMPT, max_new_tokens=tokens, temperature=0)
    return engine.generate(request).outputs[0].rstrip(CUT)


def _expected(network: torch.nn.Module, folder: Path, tokens: int = 12) -> str:
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    ids = tokenizer(PROMPT, return_tensors="pt")
    written = network.generate(**ids, max_new_tokens=tokens, do_sample=False, suppress_tokens=NO_TOKENS)[
        0, ids["input_ids"].shape[1] :
    ]
    return tokenizer.decode(written, skip_special_tokens=True).rstrip(CUT)


def _adapter(folder: Path, shape: str = "llama", base: Path | None = None) -> torch.nn.Module:
    """An adapter that does something, as the training leaves it; the live model."""
    folder.mkdir(parents=True)
    adapted = attach_new(load_base_model(open_base(base or toy_base(shape))), LoraOptions(rank=4, dropout=0.0))
    generator = torch.Generator().manual_seed(3)
    for tensor in adapter_tensors(adapted).values():
        tensor.data.normal_(0, 0.2, generator=generator)
    save_adapter(adapted, folder)
    for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        shutil.copyfile(adapted.base.folder / name, folder / name)
    write_manifest(folder, "adapter")
    return adapted.module


@pytest.mark.parametrize("shape", SHAPES)
def test_every_shape_writes_what_transformers_writes(shape: str) -> None:
    folder = toy_base(shape)
    engine = open_engine(folder)
    assert isinstance(engine, ModelEngine) == (shape in COMPUTED_BY_US)
    network = transformers.AutoModelForCausalLM.from_pretrained(folder)
    assert _greedy(engine) == _expected(network, folder)


@pytest.mark.parametrize("shape", ["llama", "mixtral", "gpt2"])
def test_adapters_write_what_plain_peft_writes(shape: str, tmp_path: Path) -> None:
    live = _adapter(tmp_path / "adapter", shape)
    engine = open_engine(tmp_path / "adapter")
    assert _greedy(engine) == _expected(live, toy_base(shape))
    assert _greedy(engine) != _greedy(open_engine(toy_base(shape)))


def test_logits_step_by_step_are_those_of_the_whole() -> None:
    runtime = PretrainedRuntime(load_base_model(open_base(toy_base("mistral"))))
    tokens = [5, 9, 300, 41, 17]
    whole = runtime.logits(tokens)
    stepped = [runtime.start(tokens[:2]), *(runtime.step(token) for token in tokens[2:])]
    for row, one in zip(whole[1:], stepped, strict=True):
        assert abs(row - one).max() < 1e-4
    assert (runtime.start(tokens) == runtime.start(tokens)).all()
    with pytest.raises(DataError, match="257 tokens do not fit into the context of 256"):
        runtime.logits([1] * 257)


def test_scores_are_the_cross_entropy_of_transformers() -> None:
    folder = toy_base("olmo2")
    scored = open_engine(folder).score(ScoreRequest(text=PROMPT))
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    ids = torch.tensor([[2, *tokenizer(PROMPT).input_ids]])
    network = transformers.AutoModelForCausalLM.from_pretrained(folder)
    assert scored.loss == pytest.approx(network(ids, labels=ids).loss.item(), abs=1e-4)


def test_chat_sends_the_bases_own_template(tmp_path: Path) -> None:
    live = _adapter(tmp_path / "adapter")
    messages = [{"role": "user", "content": "Where does the river run?"}]
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path / "adapter")
    ids = tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_tensors="pt", return_dict=True)
    written = live.generate(**ids, max_new_tokens=10, do_sample=False, suppress_tokens=NO_TOKENS)[
        0, ids["input_ids"].shape[1] :
    ]
    with open_chat(tmp_path / "adapter") as chat:
        request = ChatRequest(
            messages=[ChatMessage(**message) for message in messages], max_new_tokens=10, temperature=0
        )
        answer = chat.answer(request)
        assert chat.form.ends == frozenset([2])
    assert answer.text == tokenizer.decode(written, skip_special_tokens=True).lstrip().rstrip(CUT)


@pytest.mark.parametrize("shape", ["llama", "olmo2"])
def test_every_stop_token_of_the_base_ends_a_text(shape: str, tmp_path: Path) -> None:
    folder = copied_base(tmp_path / shape, shape)
    engine = open_engine(folder)
    logits = engine.runtime.start(engine.tokenizer.encode(PROMPT))[: engine.tokenizer.vocab_size]
    stop = int(engine.runtime.step(int(logits.argmax()))[: engine.tokenizer.vocab_size].argmax())
    (folder / "generation_config.json").write_text(json.dumps({"eos_token_id": [2, stop]}))
    assert stop_ids(folder) == {2, stop}
    request = GenerateRequest(prompt_text=PROMPT, max_new_tokens=12, temperature=0)
    result = open_engine(folder).generate(request)
    assert (result.eos_terminated, result.steps) == ([True], [2])


def test_a_beginning_token_goes_in_front_where_the_tokenizer_puts_one(tmp_path: Path) -> None:
    folder = copied_base(tmp_path / "base")
    assert beginning_id(folder) is None
    document = json.loads((folder / "tokenizer.json").read_text())
    begin = {"SpecialToken": {"id": "<|endoftext|>", "type_id": 0}}
    document["post_processor"] = {
        "type": "TemplateProcessing",
        "single": [begin, {"Sequence": {"id": "A", "type_id": 0}}],
        "pair": [begin, {"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
        "special_tokens": {"<|endoftext|>": {"id": "<|endoftext|>", "ids": [0], "tokens": ["<|endoftext|>"]}},
    }
    (folder / "tokenizer.json").write_text(json.dumps(document))
    assert beginning_id(folder) == 0
    network = transformers.AutoModelForCausalLM.from_pretrained(folder)
    assert _greedy(open_engine(folder)) == _expected(network, folder)
    ids = torch.tensor([transformers.AutoTokenizer.from_pretrained(folder)(PROMPT).input_ids])
    assert ids[0, 0] == 0
    scored = open_engine(folder).score(ScoreRequest(text=PROMPT))
    assert scored.loss == pytest.approx(network(ids, labels=ids).loss.item(), abs=1e-4)


def test_the_record_of_a_base_opens_the_base_that_it_names(tmp_path: Path) -> None:
    folder = copied_base(tmp_path / "base", "qwen2")
    write_base(tmp_path / "record", identify(folder, source="base"))
    assert _greedy(open_engine(tmp_path / "record")) == _greedy(open_engine(folder))
    with open_chat(tmp_path / "record") as chat:
        assert chat.form.ends == frozenset([2])
    (folder / "config.json").write_text((folder / "config.json").read_text() + "\n")
    with pytest.raises(DataError, match="not what it was: config.json has"):
        open_engine(tmp_path / "record")


def test_a_run_gives_its_merged_model_else_its_adapter(tmp_path: Path) -> None:
    _adapter(tmp_path / "adapter")
    assert _greedy(open_engine(tmp_path)) == _greedy(open_engine(tmp_path / "adapter"))
    copied_base(tmp_path / "merged")
    assert _greedy(open_engine(tmp_path)) == _greedy(open_engine(toy_base()))


def test_an_adapter_whose_base_has_changed_or_gone_is_refused(tmp_path: Path) -> None:
    base = copied_base(tmp_path / "base")
    _adapter(tmp_path / "run" / "adapter", base=base)
    expected = _greedy(open_engine(tmp_path / "run" / "adapter"))
    weights = bytearray((base / "model.safetensors").read_bytes())
    weights[-1] ^= 1
    good = (base / "model.safetensors").read_bytes()
    (base / "model.safetensors").write_bytes(weights)
    with pytest.raises(DataError, match="not what it was: the SHA-256 of model.safetensors") as failure:
        open_engine(tmp_path / "run" / "adapter")
    assert failure.value.code is ErrorCode.DATA_CHANGED
    (base / "model.safetensors").write_bytes(good)
    base.rename(tmp_path / "moved")
    with pytest.raises(DataError, match="the base of the adapter in .* is not at"):
        open_engine(tmp_path / "run" / "adapter")
    artifact = tmp_path / "artifacts" / "base" / "0123"
    write_base(artifact, identify(tmp_path / "moved", source="moved"))
    assert _greedy(open_engine(tmp_path / "run" / "adapter")) == expected


def test_a_changed_adapter_is_refused(tmp_path: Path) -> None:
    _adapter(tmp_path / "adapter")
    config = tmp_path / "adapter" / "adapter_config.json"
    config.write_text(config.read_text().replace('"lora_alpha": 32', '"lora_alpha": 64'))
    with pytest.raises(DataError, match="the SHA-256 of adapter_config.json is not the one in the manifest"):
        open_engine(tmp_path / "adapter")


def test_an_adapter_is_put_on_its_base_as_it_was_stored(tmp_path: Path) -> None:
    pytest.importorskip("bitsandbytes")
    _adapter(tmp_path / "adapter")
    plain = open_engine(tmp_path / "adapter")
    write_manifest(tmp_path / "adapter", "adapter", facts={"quantization": {"kind": "nf4", "compute": "fp32"}})
    quantised = open_engine(tmp_path / "adapter")
    assert isinstance(quantised.runtime, PretrainedRuntime)
    assert quantised.runtime.model.facts.quantization == "nf4"
    assert abs(quantised.runtime.logits([5, 6, 7]) - plain.runtime.logits([5, 6, 7])).max() > 0
    write_manifest(tmp_path / "adapter", "adapter", facts={"quantization": {"kind": "q3", "compute": "fp32"}})
    with pytest.raises(DataError, match="names the unknown quantisation q3"):
        open_engine(tmp_path / "adapter")


def test_an_adapter_without_a_base_is_refused(tmp_path: Path) -> None:
    _adapter(tmp_path / "adapter")
    (tmp_path / "adapter" / "base.json").unlink()
    (tmp_path / "adapter" / "manifest.json").unlink()
    with pytest.raises(DataError, match="does not say which base it was trained on"):
        open_engine(tmp_path / "adapter")
