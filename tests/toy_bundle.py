"""A whole bundle of a tiny, untrained model, as an export would leave it."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np

from loquela.artifacts.bundle import BUNDLE_KIND, BundleFacts, GoldenPrompt, write_facts
from loquela.artifacts.manifest import write_manifest
from loquela.export.formats.onnx.exporter import OnnxExporter
from loquela.inference.runtimes.torch_model import TorchRuntime
from loquela.models.folder import load_model
from toy_run import make_run

PROMPTS = ([5, 6, 7], [40, 41], [9])
WRITTEN = 8


def make_bundle(directory: Path, run: Path | None = None, *, onnx: bool = False) -> Path:
    """A safetensors bundle for the torch runtime, or one for ONNX Runtime, which starts ten times faster."""
    run = run or make_run(directory.parent / (directory.name + "-run"))
    model = load_model(run / "final")
    if onnx:
        (directory / "model").mkdir(parents=True)
        OnnxExporter().write(run / "final", run / "tokenizer", directory / "model", "none")
    else:
        shutil.copytree(run / "final", directory / "model", ignore=shutil.ignore_patterns("manifest.json"))
    shutil.copytree(run / "tokenizer", directory / "tokenizer", ignore=shutil.ignore_patterns("manifest.json"))
    facts = BundleFacts(
        format="onnx" if onnx else "safetensors", quantization="none", scheme="float32", family="transformer",
        parameters=sum(parameter.numel() for parameter in model.parameters()),
        context=model.config.max_sequence_length, vocab_size=model.config.vocab_size, eos_id=3,
        model_file="model/model.onnx" if onnx else "model", runtime="onnxruntime" if onnx else "torch",
        golden=[GoldenPrompt(prompt_ids=ids, continuation_ids=greedy(TorchRuntime(model), ids)) for ids in PROMPTS],
    )  # fmt: skip
    write_facts(directory, facts)
    write_manifest(directory, BUNDLE_KIND, parents={"checkpoint": "0" * 64})
    return directory


def greedy(runtime, prompt: list[int]) -> list[int]:
    logits, written = runtime.start(prompt), []
    for _ in range(WRITTEN):
        written.append(int(np.argmax(logits)))
        logits = runtime.step(written[-1])
    return written


def sealed(directory: Path, **changes) -> Path:
    """Change facts of a bundle and seal it again, as somebody would who wants to deceive."""
    facts = BundleFacts.model_validate_json((directory / "bundle.json").read_bytes())
    write_facts(directory, BundleFacts.model_validate(facts.model_dump() | changes))
    (directory / "manifest.json").unlink()
    write_manifest(directory, BUNDLE_KIND)
    return directory
