"""What a person sees at the end of a run that exported its model and checked it."""

from __future__ import annotations

import uuid

import pytest
from pydantic import JsonValue

from loquela.cli.run_result import show_checks, show_exports
from loquela.recipe.schema import Recipe
from loquela.runs.manifest import StageRecord, TrainingRunManifest


def manifest(**stages: dict[str, JsonValue]) -> TrainingRunManifest:
    records = {
        name: StageRecord(stage=name, key="k", digest="d", directory="x", reused=False, seconds=1.0, facts=facts)
        for name, facts in stages.items()
    }
    return TrainingRunManifest(
        run_id="r", pipeline_id=uuid.uuid4(), recipe=Recipe(), seed=1, versions={}, hardware={}, stages=records
    )


def test_every_export_with_what_it_costs(capsys: pytest.CaptureFixture[str]) -> None:
    facts: dict[str, JsonValue] = {"bytes": 820000, "mean_kl": 0.00054, "top1_agreement": 0.9907, "loss_increase": 2e-4}
    show_exports(manifest(export={"gguf-int8": facts}))
    line = next(line for line in capsys.readouterr().out.splitlines() if "gguf-int8" in line)
    assert line.split() == ["gguf-int8", "0.82", "MB", "0.00054", "99.07%", "+0.0002"]


def test_every_check_with_its_numbers(capsys: pytest.CaptureFixture[str]) -> None:
    facts: dict[str, JsonValue] = {
        "latency_p95_ms": 8.49,
        "requests_per_second": 6.25,
        "generation_tokens_per_second": 7370.7,
        "peak_mb": 76.3,
        "cold_start_seconds": 1.28,
    }
    show_checks(manifest(deploy_check={"onnx-int8": facts}))
    line = next(line for line in capsys.readouterr().out.splitlines() if "onnx-int8" in line)
    assert line.split() == ["onnx-int8", "8.5", "ms", "6.2/s", "7,371/s", "76", "MB", "1.3", "s"]


def test_a_run_without_them_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    show_exports(manifest())
    show_checks(manifest())
    assert capsys.readouterr().out == ""
