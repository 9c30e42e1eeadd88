"""Networks of every family: exact sizes, causal, steps equal the whole forward pass, same seed same bits."""

import copy

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from loquela.core.errors import DataError, ErrorCode, InternalError, RecipeError
from loquela.models.build import build_model, empty_model
from loquela.models.config import RecurrentConfig, TransformerConfig, model_config
from loquela.models.contract import LanguageModel
from loquela.models.size import flops_per_token, memory_plan, parameter_count
from loquela.recipe.schema import ModelSection

TINY = {"num_layers": 2, "d_model": 16, "num_heads": 4, "dim_feedforward": 24, "max_sequence_length": 12}
SECTIONS = {
    "gpt2": {},
    "gpt2 untied": {"tie_embeddings": False, "bias": False},
    "llama": {"positions": "rotary", "norm": "rmsnorm", "activation": "swiglu", "bias": False, "num_kv_heads": 2},
    "llama qk": {"positions": "rotary", "norm": "rmsnorm", "activation": "swiglu", "qk_norm": True, "num_kv_heads": 1},
    "relu2": {"activation": "relu2", "positions": "rotary"},
    "lstm": {"family": "lstm"},
    "gru untied": {"family": "gru", "tie_embeddings": False, "bias": False},
}
VOCABULARY = 29


def config_of(name, **changes):
    return model_config(ModelSection(**TINY | SECTIONS[name] | changes), VOCABULARY)


def tokens_of(rows=3, length=11):
    return torch.randint(VOCABULARY, (rows, length), generator=torch.Generator().manual_seed(1))


def lively(config, seed=3):
    model = build_model(config, seed).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=torch.Generator().manual_seed(9)) * 0.2)
    return model


@pytest.mark.parametrize("name", SECTIONS)
def test_steps_equal_the_whole_forward_pass(name):
    model, tokens = lively(config_of(name)), tokens_of()
    with torch.no_grad():
        whole = model(tokens)
        cache = model.start_cache(3, 11)
        for start, end in ((0, 1), (1, 5), (5, 6), (6, 7), (7, 11)):
            logits = model.step(tokens[:, start:end], cache)
            torch.testing.assert_close(logits, whole[:, end - 1], rtol=1e-5, atol=1e-5)
            assert cache.position == end
    assert whole.shape == (3, 11, VOCABULARY)


@pytest.mark.parametrize("name", SECTIONS)
def test_no_position_sees_the_future(name):
    model, tokens = lively(config_of(name)), tokens_of()
    changed = tokens.clone()
    changed[:, 6:] = (changed[:, 6:] + 1) % VOCABULARY
    with torch.no_grad():
        before, after = model(tokens), model(changed)
    torch.testing.assert_close(before[:, :6], after[:, :6], rtol=0, atol=1e-6)
    assert not torch.allclose(before[:, 6:], after[:, 6:])


@pytest.mark.parametrize("name", SECTIONS)
def test_equal_seeds_give_equal_bits_and_leave_the_generator_alone(name):
    torch.manual_seed(5)
    expected_next = torch.rand(3)
    torch.manual_seed(5)
    first = build_model(config_of(name), 7)
    assert torch.equal(torch.rand(3), expected_next)
    second, other = build_model(config_of(name), 7), build_model(config_of(name), 8)
    pairs = list(zip(first.parameters(), second.parameters(), other.parameters(), strict=True))
    assert all(torch.equal(a, b) for a, b, _ in pairs)
    assert any(not torch.equal(a, c) for a, _, c in pairs)
    assert all(parameter.isfinite().all() for parameter in first.parameters())


@pytest.mark.parametrize("name", SECTIONS)
def test_the_hidden_states_times_the_head_are_the_logits(name):
    model, tokens = lively(config_of(name)), tokens_of()
    assert isinstance(model, LanguageModel)
    with torch.no_grad():
        torch.testing.assert_close(model(tokens), F.linear(model.hidden(tokens), model.head_weight))
    assert model.head_weight.shape == (VOCABULARY, 16)


@pytest.mark.parametrize("name", ["gpt2", "llama qk"])
def test_gradient_checkpointing_gives_the_same_gradients(name):
    plain = lively(config_of(name)).train()
    checkpointed = copy.deepcopy(plain)
    checkpointed.gradient_checkpointing = True
    for model in (plain, checkpointed):
        model(tokens_of()).logsumexp(-1).sum().backward()
    for ours, theirs in zip(plain.parameters(), checkpointed.parameters(), strict=True):
        torch.testing.assert_close(ours.grad, theirs.grad)


@pytest.mark.parametrize("name", ["gpt2", "lstm"])
def test_dropout_plays_a_part_in_training_only(name):
    model, tokens = lively(config_of(name, dropout=0.5)), tokens_of()
    with torch.no_grad():
        assert torch.equal(model(tokens), model(tokens))
        model.train()
        assert not torch.equal(model(tokens), model(tokens))


def test_initialisation_is_gpt2s():
    model = build_model(model_config(ModelSection(num_layers=8, d_model=64), 500), 1)
    weights = dict(model.named_parameters())
    assert weights["token_embedding"].std().item() == pytest.approx(0.02, rel=0.05)
    assert weights["blocks.3.attention.qkv.weight"].std().item() == pytest.approx(0.02, rel=0.05)
    assert weights["blocks.3.attention.out.weight"].std().item() == pytest.approx(0.02 / 4, rel=0.05)
    assert weights["blocks.3.feed_forward.down.weight"].std().item() == pytest.approx(0.02 / 4, rel=0.05)
    assert weights["blocks.3.feed_forward.down.bias"].count_nonzero() == 0
    assert torch.equal(weights["final_norm.weight"], torch.ones(64))


def test_the_forget_gate_of_an_lstm_starts_open():
    bias = dict(build_model(config_of("lstm"), 1).named_parameters())["layers.bias_ih_l0"]
    assert bias.tolist() == [0.0] * 16 + [1.0] * 16 + [0.0] * 32


def test_a_text_or_cache_longer_than_the_context_is_refused():
    model = build_model(config_of("gpt2"), 1)
    with pytest.raises(DataError, match=r"13 tokens exceeds the model's context of 12") as caught:
        model.hidden(tokens_of(1, 13))
    assert caught.value.code == ErrorCode.SEQUENCE_TOO_LONG
    with pytest.raises(DataError, match="a cache of 13 tokens"):
        model.start_cache(1, 13)
    cache = model.start_cache(1, 4)
    model.step(tokens_of(1, 3), cache)
    with pytest.raises(DataError, match=r"3 \+ 2 tokens do not fit into a cache of 4"):
        model.step(tokens_of(1, 2), cache)


def test_a_cache_of_another_family_is_our_bug():
    transformer, recurrent = build_model(config_of("gpt2"), 1), build_model(config_of("lstm"), 1)
    with pytest.raises(InternalError, match="a transformer was given a RecurrentState"):
        transformer.step(tokens_of(1, 1), recurrent.start_cache(1, 4))
    with pytest.raises(InternalError, match="a recurrent network was given a KeyValueCache"):
        recurrent.step(tokens_of(1, 1), transformer.start_cache(1, 4))


# --- configuration and sizes -------------------------------------------------------------------------------------


def test_the_reference_model_in_numbers():
    """2 layers, width 128, 4 heads, inner 256, vocabulary 8000, context 128.

    By hand, tied: 8000·128 + 128·128 + 2·(2·256 + 128·384+384 + 128·128+128 + 128·256+256 + 256·128+128) + 256.
    """
    config = model_config(ModelSection(), 8000)
    assert parameter_count(config) == 1_305_600
    assert parameter_count(model_config(ModelSection(tie_embeddings=False), 8000)) == 2_329_600
    assert flops_per_token(config) == 6 * (2 * (4 * 128 * 128 + 2 * 128 * 256) + 8000 * 128) + 12 * 2 * 128 * 128
    assert flops_per_token(config) == 8_110_080


def test_gpt2_small_has_124_million_parameters():
    section = ModelSection(num_layers=12, d_model=768, num_heads=12, dim_feedforward=3072, max_sequence_length=1024)
    assert parameter_count(model_config(section, 50257)) == 124_439_808


@settings(max_examples=40, deadline=None)
@given(
    layers=st.integers(1, 3),
    heads=st.sampled_from([(1, 1), (4, 4), (4, 2), (6, 1)]),
    half_head=st.integers(1, 5),
    inner=st.integers(1, 40),
    vocabulary=st.integers(1, 50),
    kinds=st.tuples(
        st.sampled_from(["learned", "rotary"]),
        st.sampled_from(["layernorm", "rmsnorm"]),
        st.sampled_from(["gelu", "swiglu", "relu2"]),
    ),
    flags=st.tuples(st.booleans(), st.booleans(), st.booleans()),
)
def test_the_count_is_that_of_the_real_transformer(layers, heads, half_head, inner, vocabulary, kinds, flags):
    config = TransformerConfig(
        vocab_size=vocabulary,
        num_layers=layers,
        d_model=heads[0] * 2 * half_head,
        num_heads=heads[0],
        num_kv_heads=heads[1],
        head_dim=2 * half_head,
        dim_feedforward=inner,
        max_sequence_length=9,
        positions=kinds[0],
        norm=kinds[1],
        activation=kinds[2],
        tie_embeddings=flags[0],
        bias=flags[1],
        qk_norm=flags[2],
    )
    assert parameter_count(config) == sum(parameter.numel() for parameter in empty_model(config).parameters())


@pytest.mark.parametrize("family", ["lstm", "gru"])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("tied", [True, False])
def test_the_count_is_that_of_the_real_recurrent_network(family, bias, tied):
    config = RecurrentConfig(
        family=family,
        vocab_size=31,
        num_layers=3,
        d_model=12,
        max_sequence_length=8,
        bias=bias,
        tie_embeddings=tied,
    )
    assert parameter_count(config) == sum(parameter.numel() for parameter in empty_model(config).parameters())


@pytest.mark.parametrize("name", SECTIONS)
def test_planned_activations_are_near_what_autograd_saves(name):
    config = config_of(name, d_model=64, dim_feedforward=96)
    model = lively(config).train()
    own = {parameter.untyped_storage().data_ptr() for parameter in model.parameters()}
    held = {}

    def keep(tensor):
        if tensor.untyped_storage().data_ptr() not in own:
            held[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        states = model.hidden(tokens_of(16, 12))
    assert states.requires_grad
    saved = sum(storage.nbytes() for storage in held.values())
    planned = memory_plan(config, batch_size=16, context=12).activations_bytes
    assert 0.8 * planned < saved < 1.1 * planned


def test_the_memory_plan_adds_up():
    config = model_config(ModelSection(), 8000)
    plan = memory_plan(config, batch_size=32, context=128)
    assert plan.weights_bytes == plan.gradients_bytes == 4 * 1_305_600
    assert plan.optimizer_bytes == 2 * plan.weights_bytes
    assert memory_plan(config, batch_size=32, optimizer="sgd").optimizer_bytes == plan.weights_bytes
    parts = plan.model_dump()
    assert parts.pop("total_bytes") == sum(parts.values())
    assert memory_plan(config, batch_size=32, gradient_checkpointing=True).total_bytes < plan.total_bytes
    assert plan.staging_bytes == 3 * plan.weights_bytes


def test_the_memory_plan_is_near_the_measured_peak():
    """Peaks of training processes of the reference shape, in MiB: 517 to 533; of 64 rows 604; of 4 layers 615."""
    reference = model_config(ModelSection(), 8000)
    assert memory_plan(reference, batch_size=32).total_bytes / 2**20 == pytest.approx(525, rel=0.1)
    assert memory_plan(reference, batch_size=64).total_bytes / 2**20 == pytest.approx(604, rel=0.1)
    deeper = model_config(ModelSection(num_layers=4), 8000)
    assert memory_plan(deeper, batch_size=32).total_bytes / 2**20 == pytest.approx(615, rel=0.1)


def test_shapes_that_no_network_has_are_refused():
    section = ModelSection(d_model=12, num_heads=4, positions="rotary", dim_feedforward=16)
    with pytest.raises(RecipeError, match="a head has 3 numbers: make it even") as caught:
        model_config(section, 10)
    assert caught.value.code == ErrorCode.ARCHITECTURE_INVALID
    with pytest.raises(RecipeError, match=r"vocab_size: .*greater than or equal to 1"):
        model_config(ModelSection(), 0)
