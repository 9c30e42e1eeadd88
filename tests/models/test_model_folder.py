"""Folders mean the same network to us and to transformers, in both directions; bad folders are named."""

import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from loquela.core.errors import DataError, ErrorCode
from loquela.models.build import build_model
from loquela.models.config import RecurrentConfig, TransformerConfig
from loquela.models.folder import folder_format, load_model, read_config, save_model

transformers = pytest.importorskip("transformers")

GPT2 = {
    "vocab_size": 37,
    "num_layers": 2,
    "d_model": 24,
    "num_heads": 4,
    "num_kv_heads": 4,
    "head_dim": 6,
    "dim_feedforward": 40,
    "max_sequence_length": 16,
}
LLAMA = GPT2 | {
    "num_kv_heads": 2,
    "positions": "rotary",
    "norm": "rmsnorm",
    "activation": "swiglu",
    "bias": False,
    "rotary_base": 5000.0,
}
STOCK = {
    "gpt2": GPT2,
    "gpt2 untied": GPT2 | {"tie_embeddings": False, "dropout": 0.1, "norm_epsilon": 1e-3},
    "llama": LLAMA,
    "llama untied": LLAMA | {"tie_embeddings": False, "num_kv_heads": 1, "norm_epsilon": 1e-2},
    "llama biases": LLAMA | {"bias": True, "dropout": 0.2},
    "llama wide heads": LLAMA | {"head_dim": 10},
    "qwen3": LLAMA | {"qk_norm": True},
    "qwen3 untied": LLAMA | {"qk_norm": True, "tie_embeddings": False, "head_dim": 8},
}
OWN = {
    "relu2": TransformerConfig(**GPT2 | {"activation": "relu2"}),
    "no biases": TransformerConfig(**GPT2 | {"bias": False}),
    "rotary gelu": TransformerConfig(**LLAMA | {"activation": "gelu", "qk_norm": True, "tie_embeddings": False}),
    "lstm": RecurrentConfig(family="lstm", vocab_size=31, num_layers=2, d_model=12, max_sequence_length=16),
    "gru": RecurrentConfig(
        family="gru", vocab_size=31, num_layers=1, d_model=12, max_sequence_length=16, tie_embeddings=False
    ),
}


def lively(config):
    """A network whose biases and norms are not at their start, so that a forgotten one shows."""
    model = build_model(config, 3).eval()
    generator = torch.Generator().manual_seed(4)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.3)
    return model


def tokens_for(config):
    return torch.randint(config.vocab_size, (2, 13), generator=torch.Generator().manual_seed(5))


@pytest.mark.parametrize("name", STOCK)
def test_transformers_loads_ours_with_the_same_logits(tmp_path, name):
    config = TransformerConfig(**STOCK[name])
    model = lively(config)
    save_model(model, tmp_path, eos_id=3)
    stock, report = transformers.AutoModelForCausalLM.from_pretrained(tmp_path, output_loading_info=True)
    assert stock.config.model_type == name.split()[0] == folder_format(config).model_type
    assert not report["missing_keys"] and not report["unexpected_keys"]
    assert stock.config.eos_token_id == 3
    tokens = tokens_for(config)
    with torch.no_grad():
        theirs, ours = stock.eval()(tokens).logits, model(tokens)
    assert ours.abs().max() > 1
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", [*STOCK, *OWN])
def test_a_saved_network_comes_back_bit_for_bit(tmp_path, name):
    config = OWN[name] if name in OWN else TransformerConfig(**STOCK[name])
    model = lively(config)
    save_model(model, tmp_path)
    loaded = load_model(tmp_path)
    assert read_config(tmp_path) == loaded.config == config
    assert not loaded.training
    for (name_ours, ours), (name_loaded, theirs) in zip(
        model.state_dict().items(), loaded.state_dict().items(), strict=True
    ):
        assert name_ours == name_loaded
        assert torch.equal(ours, theirs)


@pytest.mark.parametrize("name", OWN)
def test_what_no_class_can_express_says_who_loads_it(tmp_path, name):
    save_model(lively(OWN[name]), tmp_path)
    assert json.loads((tmp_path / "config.json").read_text())["model_type"] == "loquela"
    assert "load_model" in (tmp_path / "README.md").read_text()


def stock_model(name, **settings):
    torch.manual_seed(0)
    if name == "gpt2":
        shape = {"n_embd": 24, "n_layer": 2, "n_head": 3, "n_positions": 32, "vocab_size": 41}
        return transformers.GPT2LMHeadModel(transformers.GPT2Config(**shape | settings))
    shape = {
        "hidden_size": 24,
        "intermediate_size": 40,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "vocab_size": 41,
        "max_position_embeddings": 32,
        "pad_token_id": None,
    }
    if name == "llama":
        return transformers.LlamaForCausalLM(transformers.LlamaConfig(**shape | settings))
    return transformers.Qwen3ForCausalLM(transformers.Qwen3Config(**shape | {"head_dim": 8} | settings))


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("gpt2", {}),
        ("gpt2", {"tie_word_embeddings": False, "n_inner": 50}),
        ("llama", {}),
        ("llama", {"tie_word_embeddings": True, "rope_parameters": {"rope_type": "default", "rope_theta": 500.0}}),
        ("llama", {"attention_bias": True, "mlp_bias": True}),
        ("qwen3", {}),
    ],
)
def test_we_load_stock_folders_with_the_same_logits(tmp_path, name, settings):
    stock = stock_model(name, **settings).eval()
    with torch.no_grad():
        for parameter in stock.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.2)
    stock.save_pretrained(tmp_path)
    model = load_model(tmp_path)
    tokens = tokens_for(model.config)
    with torch.no_grad():
        torch.testing.assert_close(model(tokens), stock(tokens).logits, rtol=1e-5, atol=1e-5)


def test_we_load_weights_in_several_files(tmp_path):
    stock = stock_model("llama").eval()
    stock.save_pretrained(tmp_path, max_shard_size="6KB")
    assert len(list(tmp_path.glob("model-*.safetensors"))) > 1
    tokens = torch.arange(10)[None]
    with torch.no_grad():
        torch.testing.assert_close(load_model(tmp_path)(tokens), stock(tokens).logits, rtol=1e-5, atol=1e-5)


def saved(tmp_path):
    save_model(lively(TransformerConfig(**GPT2)), tmp_path)
    return tmp_path


def edit(directory, **settings):
    path = directory / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | settings))


def test_pickled_weights_are_refused(tmp_path):
    directory = saved(tmp_path)
    (directory / "model.safetensors").rename(directory / "pytorch_model.bin")
    with pytest.raises(DataError, match=r"pickled \(pytorch_model.bin\)") as caught:
        load_model(directory)
    assert caught.value.code == ErrorCode.PRETRAINED_LOAD_FAILED
    assert "save_pretrained" in caught.value.remedy


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"auto_map": {"AutoModel": "x.Y"}}, "asks for code of its own"),
        ({"model_type": "gpt3"}, "no such model_type 'gpt3'; did you mean 'gpt2'"),
        ({"activation_function": "relu"}, "activation_function: .*'relu'"),
        ({"n_head": 5}, "does not divide n_embd"),
        ({"vocab_size": 38}, r"token_embedding is \[37, 24\] in the file and \[38, 24\] by its config.json"),
        ({"n_layer": 3}, "the tensor transformer.h.2.ln_1.weight is missing"),
        ({"n_layer": 1}, "no place for: transformer.h.1.attn.c_attn.bias, .* and 7 more"),
        ({"tie_word_embeddings": False}, "the tensor lm_head.weight is missing"),
    ],
)
def test_a_config_that_does_not_fit_is_named(tmp_path, settings, message):
    directory = saved(tmp_path)
    edit(directory, **settings)
    with pytest.raises(DataError, match=message):
        load_model(directory)


def test_scaled_rotary_positions_are_refused(tmp_path):
    save_model(lively(TransformerConfig(**LLAMA)), tmp_path)
    edit(tmp_path, rope_parameters={"rope_type": "yarn", "rope_theta": 5000.0, "factor": 4.0})
    with pytest.raises(DataError, match=r"rope_parameters.rope_type: .*'yarn'"):
        load_model(tmp_path)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_a_missing_or_torn_file_is_named(tmp_path, name):
    directory = saved(tmp_path)
    path = directory / name
    path.write_bytes(path.read_bytes()[:60])
    with pytest.raises(DataError, match=f"{name} cannot be read"):
        load_model(directory)
    path.unlink()
    with pytest.raises(DataError, match=f"there is no {name}"):
        load_model(directory)


def test_an_index_cannot_point_outside_its_folder(tmp_path):
    directory = saved(tmp_path)
    (directory / "model.safetensors").unlink()
    (directory / "model.safetensors.index.json").write_text(
        json.dumps({"weight_map": {"wte.weight": "../other.safetensors"}})
    )
    with pytest.raises(DataError, match="names '../other.safetensors'"):
        load_model(directory)


def test_half_precision_weights_come_in_exactly(tmp_path):
    directory = saved(tmp_path)
    tensors = {name: tensor.half() for name, tensor in load_file(directory / "model.safetensors").items()}
    save_file(tensors, directory / "model.safetensors")
    embedding = load_model(directory).state_dict()["token_embedding"]
    assert torch.equal(embedding, tensors["transformer.wte.weight"].float())
