"""The formula for activations against the tensors that PyTorch really keeps, and the plan against a real peak."""

from __future__ import annotations

import pytest
import torch
from tiny_tuning import tuning_session

from loquela.finetuning.planning.activations import Conditions, activation_bytes
from loquela.finetuning.planning.base_shape import find_shape
from loquela.finetuning.planning.memory import adapter_of
from loquela.finetuning.training.loss import hidden_states
from loquela.recipe.finetune_section import FinetuneSection
from toy_bases import toy_base

TOLERANCE = 0.10


def kept_bytes(session, rows):
    """Bytes of all tensors that the layers keep for a backward pass, each storage once, parameters left out."""
    own = {parameter.untyped_storage().data_ptr() for parameter in session.model.parameters()}
    own |= {buffer.untyped_storage().data_ptr() for buffer in session.model.buffers()}
    found: dict[int, int] = {}

    def pack(tensor):
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            found[storage.data_ptr()] = storage.nbytes()
        return tensor

    session.model.train()
    batch = session.batch(rows)
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        hidden = hidden_states(session.causal, batch)
    assert hidden.requires_grad
    return sum(found.values()), batch["input_ids"].numel()


@pytest.mark.parametrize(
    ("shape", "settings"),
    [
        ("llama", {"lora": {"rank": 4, "dropout": 0.0}}),
        ("llama", {"lora": {"rank": 4, "dropout": 0.1}}),
        ("llama", {"lora": {"rank": 4, "dropout": 0.1, "target_modules": ["q_proj", "v_proj"]}}),
        ("llama", {"method": "full"}),
        ("llama", {"lora": {"rank": 4, "dropout": 0.0}, "attention": "eager", "padding_free": False}),
        ("qwen3", {"lora": {"rank": 4, "dropout": 0.1}}),
        ("olmo2", {"lora": {"rank": 4, "dropout": 0.1}}),
        ("gpt2", {"lora": {"rank": 4, "dropout": 0.0}}),
        ("gpt2", {"method": "full"}),
    ],
)
def test_the_formula_counts_what_is_kept(tmp_path, shape, settings):
    session = tuning_session(tmp_path, shape=shape, **settings)
    rows = session.training_rows
    if settings.get("attention") == "eager":
        rows = rows[:1]  # one length, or padding would count
    kept, tokens = kept_bytes(session, rows)
    section = FinetuneSection.model_validate({"base": str(toy_base(shape)), **settings})
    attention = "eager" if section.attention == "eager" else "flash_attention_2"
    conditions = Conditions(element_bytes=4, attention=attention)
    base, _ = find_shape(section, tmp_path)
    expected = activation_bytes(base, adapter_of(section), conditions, len(rows), round(tokens / len(rows)))
    assert kept == pytest.approx(expected, rel=TOLERANCE), f"{kept / expected:.3f}"


def test_checkpointed_layers_keep_their_inputs(tmp_path):
    section = FinetuneSection(base=str(toy_base("llama")))
    base, _ = find_shape(section, tmp_path)
    plain = Conditions(element_bytes=4)
    again = Conditions(element_bytes=4, checkpointing=True)
    adapter = adapter_of(section)
    one = activation_bytes(base.model_copy(update={"layers": 1}), adapter, plain, 2, 64)
    assert activation_bytes(base, adapter, again, 2, 64) == one + 2 * 64 * base.layers * 4 * base.hidden
