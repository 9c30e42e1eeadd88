"""What a run leaves behind a fine-tuning, as far as packaging and verifying look at it; no training takes place."""

from __future__ import annotations

import json
from pathlib import Path

from loquela.artifacts.adapter import open_adapter
from loquela.artifacts.base import write_base
from loquela.artifacts.examples_ledger import Arrow, Change, ExamplesLedger, SplitCount
from loquela.artifacts.manifest import read_manifest, write_manifest
from loquela.finetuning.merging.merge import Merge
from loquela.finetuning.merging.prompts import prompts_for
from loquela.finetuning.packaging.metadata import create_artifact_metadata
from loquela.finetuning.packaging.package import save_adapter_artifact
from loquela.finetuning.packaging.sources import PackageSources
from loquela.models.pretrained.open import open_base
from loquela.monitoring.events import SilentBus
from loquela.recipe.finetune_section import FinetuneSection, MergeOptions
from toy_adapters import make_adapter, make_rows
from toy_bases import toy_base

LEDGER = ExamplesLedger(
    arrows=[
        Arrow(
            arrow="overlong",
            items_in=8,
            items_out=6,
            changes=[
                Change(reason="longer than max_tokens", items=-2, touched=2, tokens=-70, learnt_tokens=-40),
                Change(reason="in several pieces", touched=1),
            ],
        )
    ],
    splits={"train": SplitCount(examples=4, rows=4, tokens=96, learnt_tokens=48), "validation": SplitCount(examples=2)},
)
PROOFS = [
    {"name": "write_permission", "passed": True, "message": "/home/someone/data is writable"},
    {"name": "labels", "passed": True, "message": "48 tokens are learnt, every row has one"},
    {"name": "canary", "passed": True, "message": "8 of 8 answers given back | with the stop token"},
]
EVALUATION = {
    "metrics": [
        {
            "name": "exact_match",
            "better": "higher",
            "rows": 12,
            "units": 12,
            "base": {"value": 0.25, "low": 0.1, "high": 0.5},
            "adapter": {"value": 0.75, "low": 0.5, "high": 0.9},
            "difference": {"value": 0.5, "low": 0.2, "high": 0.7},
            "verdict": "better",
        }
    ]
}


def make_sources(
    output: Path, *, merged: bool = True, method: str = "lora", base_folder: Path | None = None
) -> PackageSources:
    """A base, rows, an adapter, a comparison and, where asked for, a merged model in their places below `output`."""
    base_folder = base_folder or toy_base()
    run = output / "runs" / "toy-1"
    artifacts = output / "artifacts"
    run.mkdir(parents=True)
    base = open_base(base_folder)
    (artifacts / "base" / "b1").mkdir(parents=True)
    write_base(artifacts / "base" / "b1", base.identity)
    write_manifest(artifacts / "base" / "b1", "base")
    examples = make_rows(artifacts / "examples" / "e1")
    (examples / "ledger.json").write_text(LEDGER.model_dump_json())
    (examples / "manifest.json").unlink()
    write_manifest(examples, "examples", parents={"qa": "a" * 64}, facts={"template": "chatml"})
    questions = artifacts / "qa" / "q1"
    questions.mkdir(parents=True)
    write_manifest(questions, "qa", parents={"corpus": "c" * 64})
    parents = {kind: read_manifest(artifacts / kind / key).digest for kind, key in (("base", "b1"), ("examples", "e1"))}
    adapter = make_adapter(run / "adapter")
    (adapter / "manifest.json").unlink()
    write_manifest(adapter, "adapter", parents=parents, facts={"steps": 12, "validation_loss": 1.25, "method": method})
    (run / "eval").mkdir()
    (run / "eval" / "metrics.json").write_text(json.dumps(EVALUATION))
    write_manifest(run / "eval", "comparison")
    (run / "preflight.json").write_text(json.dumps(PROOFS))
    (run / "effective_settings.json").write_text(
        json.dumps({"finetune.attention": {"requested": "auto", "effective": "sequences"}})
    )
    (run / "recipe.yaml").write_text("name: toy\n")
    (run / "training_metrics.json").write_text('{"run_id": "toy-1"}')
    (run / "metrics.jsonl").write_text('{"step": 1, "loss": 2.5}\n{"step": 2, "loss": 1.25}\n')
    (run / "manifest.json").write_text(json.dumps({"hardware": {"cores_usable": 2}, "git": {"commit": "f" * 40}}))
    folders = {"base": artifacts / "base" / "b1", "examples": examples, "qa": questions, "adapter": adapter}
    folders["comparison"] = run / "eval"
    if merged:
        merge_here(run, base, examples)
        folders["merged"] = run / "merged"
    return PackageSources("toy", run, FinetuneSection(base=str(base_folder), method=method), folders)


def merge_here(run: Path, base, examples: Path) -> None:
    """`run`/merged, as the stage makes it."""
    adapter = open_adapter(run / "adapter")
    Merge(
        base=base,
        adapter=adapter,
        place=run / "merged",
        prompts=prompts_for(base, examples, 2),
        options=MergeOptions(),
        quantization=None,
        parents=adapter.lineage,
        bus=SilentBus(),
    ).run()


def make_package(output: Path, **options) -> Path:
    """`make_sources` packaged."""
    sources = make_sources(output, **options)
    place = sources.run / "final_artifact"
    save_adapter_artifact(sources, create_artifact_metadata(sources), place)
    return place
