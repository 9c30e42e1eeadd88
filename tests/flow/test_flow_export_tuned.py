"""A recipe that fine-tunes ends with its exports: the merged model in other formats, measured on held-out rows."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from test_finetune_flow import RECIPE, write_documents

from loquela.artifacts.bundle import open_bundle
from loquela.artifacts.manifest import verify
from loquela.cli.main import answer
from loquela.export.report import read_report
from toy_bases import copied_base

# A tiny model expects all tokens alike: what quantisation costs it says little.
ALIKE = {"max_mean_kl": 1.0, "min_top1_agreement": 0.1, "max_loss_increase": 1.0}

ROOMY = {"latency_p95_ms": 60_000, "tokens_per_second": 0.001, "rss_mb": 8192, "peak_mb": 8192}
DEPLOY = {"load": {"requests": 2, "repeats": 1, "new_tokens": 4}, "budgets": ROOMY}


@pytest.mark.slow
def test_the_merged_model_is_exported_and_proven(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("xllamacpp")
    write_documents(tmp_path / "docs")
    copied_base(tmp_path / "base", "smollm")
    targets = [{"format": "gguf"}, {"format": "onnx", "quantize": "int8"}]
    recipe = {**RECIPE, "export": {"targets": targets, "held_out_tokens": 200, "limits_int8": ALIKE}, "deploy": DEPLOY}
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(recipe), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    assert answer(["run", "recipe.yaml", "--resume", "never", "--json"]) == 0
    run = Path(json.loads(capsys.readouterr().out)["directory"])
    for name in ("gguf", "onnx-int8"):
        bundle = open_bundle(run / "exports" / name)
        assert bundle.manifest.parents == {"checkpoint": verify(run / "merged").digest}
        assert read_report(bundle.directory).logits.text == "validation rows of the run"
        assert (run / "deploy" / name).is_dir()
    assert answer(["verify", str(run)]) == 0
    assert answer(["export", str(run / "adapter"), "--format", "safetensors", "--json"]) == 0
    assert (run / "exports" / "safetensors" / "bundle.json").is_file()
    assert answer(["export", str(run), "--format", "torchscript", "--json"]) == 0
    assert answer(["generate", str(run), "--prompt", "The Anvil pump", "--max-new-tokens", "4"]) == 0
