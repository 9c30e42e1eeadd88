"""The model that inference speed is measured on: the seed's two layers with random weights, in every format.

    python benchmarks/contenders/inference_fixture.py DIRECTORY

Speed does not depend on what the weights say; a tokenizer of 8000 tokens is trained on made-up words.
"""

import shutil
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))
from shapes import SHAPES

from loquela.artifacts.bundle import BUNDLE_KIND, BundleFacts, write_facts
from loquela.artifacts.manifest import write_manifest
from loquela.export.registry import EXPORTERS
from loquela.models.build import build_model
from loquela.models.config import TransformerConfig
from loquela.models.folder import save_model
from loquela.monitoring.events import SilentBus
from loquela.recipe.schema import TokenizerSection
from loquela.tokenizers.train import train_tokenizer

CONTEXT = 256
FORMATS = [("onnx", "none"), ("onnx", "int8"), ("onnx", "int4"), ("gguf", "none"), ("gguf", "int8"), ("gguf", "int4")]


def texts() -> list[str]:
    """Sentences of words from random syllables: enough of them for 8000 tokens, the same ones every time."""
    generator = np.random.default_rng(0)
    syllables = [c + v + e for c in "bcdfglmnprstv" for v in "aeiou" for e in ("", "n", "s", "r", "l")]
    words = ["".join(generator.choice(syllables, generator.integers(2, 5))) for _ in range(12_000)]
    return [" ".join(generator.choice(words, 12)) for _ in range(6_000)]


def make(directory: Path) -> None:
    shape = SHAPES["seed"]
    run = directory / "run"
    (run / "tokenizer").mkdir(parents=True)
    lines = texts()
    section = TokenizerSection(method="bpe", vocab_size=shape.vocab_size)
    train_tokenizer(section, lambda: iter(lines), lambda: iter(lines[:50]), run / "tokenizer", SilentBus())
    config = TransformerConfig(
        vocab_size=shape.vocab_size,
        num_layers=shape.layers,
        d_model=shape.d_model,
        num_heads=shape.heads,
        num_kv_heads=shape.heads,
        head_dim=shape.d_model // shape.heads,
        dim_feedforward=shape.feed_forward,
        max_sequence_length=CONTEXT,
    )
    model = build_model(config, seed=1)
    shutil.copytree(run / "tokenizer", run / "final")
    save_model(model, run / "final", bos_id=2, eos_id=3, pad_id=0)
    write_manifest(run / "final", "checkpoint")
    for form, quantization in FORMATS:
        folder = directory / f"{form}-{quantization}"
        folder.mkdir()
        exporter = EXPORTERS.get(form)
        written = exporter.write(run / "final", run / "tokenizer", folder, quantization)
        shutil.copytree(run / "tokenizer", folder / "tokenizer")
        facts = BundleFacts(
            format=form,
            quantization=quantization,
            scheme=written.scheme,
            family="transformer",
            parameters=sum(parameter.numel() for parameter in model.parameters()),
            context=CONTEXT,
            vocab_size=shape.vocab_size,
            eos_id=3,
            model_file=written.model_file,
            runtime=exporter.runtime,
        )
        write_facts(folder, facts)
        write_manifest(folder, BUNDLE_KIND)


if __name__ == "__main__":
    make(Path(sys.argv[1]))
