"""The table of formats and quantisations: one combination that is measured, one that is refused, both shown."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from toy_run import make_run

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "export.py"


def test_a_combination_is_measured_or_refused_with_its_code(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime", reason="the extra serve is not installed")
    spec = importlib.util.spec_from_file_location("benchmark_of_exports", SCRIPT)
    assert spec is not None and spec.loader is not None
    bench = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(bench)
    run = make_run(tmp_path / "run", "lstm")
    measured, refused = bench.of_model(run, 64, formats=("onnx", "gguf"), quantizations=("int8",))

    assert (measured["format"], measured["quantize"], measured["family"]) == ("onnx", "int8", "lstm")
    assert measured["texts_in_the_same_tokens"] == measured["texts"] == 200
    assert 0 < measured["max_logit_difference"] < 1
    assert 0 < measured["ms_per_token"] <= measured["p95_ms"]
    assert 20 < measured["rss_mb"] <= measured["peak_mb"]
    assert measured["torch_loaded"] is False
    assert (refused["format"], refused["refused"]) == ("gguf", "UNSUPPORTED_FORMAT")

    lines = list(bench.tables([measured, refused]))
    row = next(line for line in lines if line.startswith("| onnx, int8 |"))
    assert row.count("|") == len(bench.COLUMNS) + 2
    assert any(line.startswith("- gguf, int8: `UNSUPPORTED_FORMAT`, llama.cpp computes no LSTM") for line in lines)
