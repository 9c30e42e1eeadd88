"""Adapters of tiny random models, as a fine-tuning would leave them, with updates that are far from nothing."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import torch

from loquela.artifacts.manifest import write_manifest
from loquela.artifacts.token_rows import TokenSequence, write_token_rows
from loquela.models.pretrained.adapters import attach_new, save_adapter
from loquela.models.pretrained.load import QuantizationPlan, load_base_model
from loquela.models.pretrained.open import open_base
from loquela.recipe.finetune_section import LoraOptions
from toy_bases import VOCABULARY, toy_base

TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja")


def make_adapter(
    directory: Path,
    base: Path | None = None,
    *,
    quantization: QuantizationPlan | None = None,
    size: float = 0.05,
    **options: object,
) -> Path:
    """An adapter folder whose B matrices are random numbers of standard deviation `size`."""
    opened = open_base(base or toy_base())
    settings = LoraOptions.model_validate({"rank": 4, "alpha": 8, "dropout": 0.0, **options})
    adapted = attach_new(load_base_model(opened, quantization=quantization), settings, seed=3)
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for name, parameter in adapted.module.named_parameters():
            if "lora_B" in name:
                parameter.normal_(0, size, generator=generator)
            elif "lora_magnitude" in name:
                parameter.mul_(1 + size * torch.randn(parameter.shape, generator=generator))
    directory.mkdir(parents=True)
    save_adapter(adapted, directory)
    for name in TOKENIZER_FILES:
        if (opened.folder / name).is_file():
            shutil.copyfile(opened.folder / name, directory / name)
    stored = quantization and {
        "kind": quantization.kind,
        "compute": quantization.compute,
        "double": quantization.double,
    }
    parents = {"base": opened.identity.digest, "examples": "e" * 64}
    write_manifest(directory, "adapter", parents=parents, facts={"quantization": stored})
    return directory


def make_rows(directory: Path, *, split: str = "validation", rows: int = 6, tokens: int = 24) -> Path:
    """An examples folder with token rows alone: the second half of each is learnt."""
    generator = np.random.default_rng(11)
    sequences = [
        TokenSequence(
            f"example-{number}",
            generator.integers(3, VOCABULARY - 8, tokens, dtype=np.uint32),
            (np.arange(tokens) >= tokens // 2).astype(np.float32),
        )
        for number in range(rows)
    ]
    write_token_rows(directory, split, [[sequence] for sequence in sequences])
    write_manifest(directory, "examples")
    return directory
