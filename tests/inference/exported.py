"""Bundles of a tiny run in every format that needs no torch, written by the real exporters."""

from __future__ import annotations

import shutil
from pathlib import Path

from loquela.artifacts.bundle import BUNDLE_KIND, BundleFacts, write_facts
from loquela.artifacts.manifest import write_manifest
from loquela.export.registry import EXPORTERS
from loquela.models.folder import load_model


def export(run: Path, name: str, directory: Path, quantization: str = "none") -> Path:
    """The final model of `run` as a bundle of format `name` in `directory`."""
    model, exporter = load_model(run / "final"), EXPORTERS.get(name)
    directory.mkdir(parents=True)
    written = exporter.write(run / "final", run / "tokenizer", directory, quantization)
    shutil.copytree(run / "tokenizer", directory / "tokenizer", ignore=shutil.ignore_patterns("manifest.json"))
    facts = BundleFacts(
        format=name, quantization=quantization, scheme=written.scheme, family=model.config.family,
        parameters=sum(parameter.numel() for parameter in model.parameters()),
        context=model.config.max_sequence_length, vocab_size=model.config.vocab_size, eos_id=3,
        model_file=written.model_file, runtime=exporter.runtime,
    )  # fmt: skip
    write_facts(directory, facts)
    write_manifest(directory, BUNDLE_KIND, parents={"checkpoint": "0" * 64})
    return directory
