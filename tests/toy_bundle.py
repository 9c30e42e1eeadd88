"""A whole bundle of a tiny, untrained model, as an export would leave it."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np

from loquela.artifacts.bundle import BUNDLE_KIND, BundleFacts, GoldenPrompt, write_facts
from loquela.artifacts.manifest import write_manifest
from loquela.inference.runtimes.torch_model import open_runtime
from toy_run import make_run

PROMPTS = ([5, 6, 7], [40, 41], [9])
WRITTEN = 8


def make_bundle(directory: Path, run: Path | None = None, family: str = "transformer", **changes) -> Path:
    """A safetensors bundle for the torch runtime; `changes` are fields of its facts."""
    run = run or make_run(directory.parent / (directory.name + "-run"), family)
    shutil.copytree(run / "final", directory / "model", ignore=shutil.ignore_patterns("manifest.json"))
    shutil.copytree(run / "tokenizer", directory / "tokenizer", ignore=shutil.ignore_patterns("manifest.json"))
    facts = BundleFacts(
        format="safetensors", quantization="none", scheme="float32", family=family, parameters=1, context=64,
        vocab_size=300, eos_id=3, model_file="model", runtime="torch",
    )  # fmt: skip
    runtime = open_runtime(directory, facts)
    facts.vocab_size = runtime.vocab_size
    facts.parameters = sum(parameter.numel() for parameter in runtime.model.parameters())
    facts.context = runtime.model.config.max_sequence_length
    facts.golden = [GoldenPrompt(prompt_ids=ids, continuation_ids=greedy(runtime, ids)) for ids in PROMPTS]
    write_facts(directory, facts.model_copy(update=changes))
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
