"""Every network as an ONNX graph: ONNX Runtime computes what torch does, in one piece and step by step."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch

from loquela.artifacts.bundle import BundleFacts
from loquela.core.errors import DataError, ErrorCode
from loquela.export.blocks import in_blocks
from loquela.export.formats.onnx.exporter import OnnxExporter
from loquela.inference.runtimes.onnx import OnnxRuntime, open_runtime
from loquela.models.build import build_model
from loquela.models.config import RecurrentConfig, TransformerConfig
from loquela.models.folder import save_model

BASE = dict(
    vocab_size=96, num_layers=2, d_model=32, num_heads=4, num_kv_heads=4, head_dim=8, dim_feedforward=48,
    max_sequence_length=24,
)  # fmt: skip
LLAMA = {"positions": "rotary", "norm": "rmsnorm", "activation": "swiglu", "bias": False, "num_kv_heads": 2}
NETWORKS = {
    "gpt2": TransformerConfig(**BASE),
    "llama": TransformerConfig(**(BASE | LLAMA | {"tie_embeddings": False})),
    "qwen3": TransformerConfig(**(BASE | LLAMA | {"qk_norm": True})),
    "mixed": TransformerConfig(**(BASE | LLAMA | {"d_model": 40, "activation": "relu2", "norm": "layernorm"})),
    "lstm": RecurrentConfig(family="lstm", vocab_size=96, num_layers=2, d_model=40, max_sequence_length=24),
    "gru": RecurrentConfig(
        family="gru", vocab_size=96, num_layers=2, d_model=32, max_sequence_length=24, tie_embeddings=False
    ),
    "plain lstm": RecurrentConfig(
        family="lstm", vocab_size=96, num_layers=1, d_model=32, max_sequence_length=24, bias=False
    ),
}
TOKENS = [int(token) for token in np.random.default_rng(0).integers(0, 96, 20)]


def network(name: str):
    model = build_model(NETWORKS[name], seed=3)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.1)
    return model.eval()


def exported(name: str, quantization: str, folder: Path) -> tuple[torch.nn.Module, OnnxRuntime, str]:
    model = network(name)
    save_model(model, folder / "model")
    (folder / "onnx").mkdir()
    written = OnnxExporter().write(folder / "model", folder, folder / "onnx", quantization)
    facts = BundleFacts(
        format="onnx", quantization=quantization, scheme=written.scheme, family=model.config.family, parameters=1,
        context=24, vocab_size=96, eos_id=3, model_file=written.model_file, runtime="onnxruntime",
    )  # fmt: skip
    return model, open_runtime(folder / "onnx", facts), written.scheme


def by_torch(model: torch.nn.Module) -> np.ndarray:
    with torch.inference_mode():
        return model(torch.tensor([TOKENS]))[0].numpy()


@pytest.mark.parametrize("name", NETWORKS)
def test_the_graph_computes_what_torch_does(name: str, tmp_path: Path) -> None:
    model, runtime, scheme = exported(name, "none", tmp_path)
    np.testing.assert_allclose(runtime.logits(TOKENS), by_torch(model), atol=5e-6)
    assert scheme == "float32"


@pytest.mark.parametrize("quantization", ["none", "int8", "int4"])
@pytest.mark.parametrize("name", NETWORKS)
def test_steps_continue_what_the_prompt_began(name: str, quantization: str, tmp_path: Path) -> None:
    _, runtime, _ = exported(name, quantization, tmp_path)
    whole = runtime.logits(TOKENS)
    rows = [runtime.start(TOKENS[:7])]
    for token in TOKENS[7:]:
        rows.append(runtime.step(token))
        runtime.logits(TOKENS[:3])
    np.testing.assert_allclose(np.stack(rows), whole[6:], atol=1e-5)
    np.testing.assert_array_equal(runtime.start(TOKENS[:7]), rows[0])


@pytest.mark.parametrize("name", NETWORKS)
def test_blocks_cost_little_at_8_bits_and_more_at_4(name: str, tmp_path: Path) -> None:
    sizes, errors = [], []
    for quantization in ("none", "int8", "int4"):
        model, runtime, scheme = exported(name, quantization, tmp_path / quantization)
        errors.append(float(np.abs(runtime.logits(TOKENS) - by_torch(model)).mean()))
        sizes.append((tmp_path / quantization / "onnx" / "model.onnx").stat().st_size)
    spread = float(by_torch(model).std())
    assert sizes[0] > sizes[1] > sizes[2]
    assert errors[0] < 1e-6 < errors[1] < errors[2]
    assert errors[1] < 0.03 * spread
    assert errors[2] < 0.5 * spread
    assert scheme.startswith("weight-only 4 bit, groups of 32")


def test_a_batch_of_rows_without_our_code(tmp_path: Path) -> None:
    """What docs/export.md says of the graph: any ONNX Runtime, any batch, `first_logit` may be left out."""
    model, _, _ = exported("llama", "none", tmp_path)
    session = onnxruntime.InferenceSession(str(tmp_path / "onnx" / "model.onnx"))
    rows = np.array([TOKENS[:9], TOKENS[9:18]])
    empty = np.zeros((2, 2, 0, 8), dtype=np.float32)
    past = {f"past_{kind}_{layer}": empty for kind in ("key", "value") for layer in range(2)}
    logits = session.run(["logits"], {"tokens": rows, **past})[0]
    with torch.inference_mode():
        np.testing.assert_allclose(logits, model(torch.from_numpy(rows)).numpy(), atol=5e-6)


def test_more_tokens_than_the_context_are_refused(tmp_path: Path) -> None:
    _, runtime, _ = exported("gpt2", "none", tmp_path)
    with pytest.raises(DataError, match="25 tokens exceed the model's context of 24") as caught:
        runtime.logits([1] * 25)
    assert caught.value.code == ErrorCode.SEQUENCE_TOO_LONG
    runtime.start([1] * 24)
    with pytest.raises(DataError, match="25 tokens exceed the model's context of 24"):
        runtime.step(1)
    runtime.close()
    with pytest.raises(DataError, match="the model was closed"):
        runtime.start([1])


def test_a_token_outside_the_vocabulary_and_a_damaged_file_are_told(tmp_path: Path) -> None:
    _, runtime, _ = exported("gpt2", "none", tmp_path)
    with pytest.raises(DataError, match="ONNX Runtime could not compute 1 tokens") as caught:
        runtime.logits([96])
    assert caught.value.code == ErrorCode.INFERENCE_FAILED
    path = tmp_path / "onnx" / "model.onnx"
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(DataError, match="ONNX Runtime refuses"):
        exported_facts = BundleFacts(
            format="onnx", quantization="none", scheme="float32", family="transformer", parameters=1, context=24,
            vocab_size=96, eos_id=3, model_file="model.onnx", runtime="onnxruntime",
        )  # fmt: skip
        open_runtime(tmp_path / "onnx", exported_facts)


def test_blocks_by_hand() -> None:
    weight = np.zeros((1, 33), dtype=np.float32)
    weight[0, :4] = [-8.0, 4.0, 1.0, -1.0]
    blocks = in_blocks(weight, 4)
    assert blocks.packed.shape == (1, 2, 16)
    assert blocks.scales[0].tolist() == [1.0, 0.0]
    assert blocks.codes[0, 0, :5].tolist() == [0, 12, 9, 7, 8]
    assert blocks.packed[0, 0, :2].tolist() == [0 | 12 << 4, 9 | 7 << 4]
    np.testing.assert_array_equal(blocks.values, weight)


def test_eight_bits_are_nearer_than_four() -> None:
    weight = np.random.default_rng(5).standard_normal((6, 70)).astype(np.float32)
    worst = [float(np.abs(in_blocks(weight, bits).values - weight).max()) for bits in (8, 4)]
    assert worst[0] < 0.02 < worst[1] < 0.4
