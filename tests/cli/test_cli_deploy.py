"""`loquela deploy-check` and `loquela promote`, as people and programs use them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from cli_harness import Loquela

from toy_bundle import make_bundle
from waiting import until

pytest.importorskip("onnxruntime", reason="the extra serve is not installed")
pytest.importorskip("onnx", reason="the extra export is not installed")

REQUIREMENTS = """\
deploy:
  max_latency_ms: 60000
  min_throughput_qps: 2
  budgets: {latency_p95_ms: 1.0e+6, tokens_per_second: 0.001, rss_mb: 1.0e+5, peak_mb: 1.0e+5}
  load: {requests: 4, repeats: 1, new_tokens: 3, rate_per_second: 100}
"""


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    (tmp_path / "requirements.yaml").write_text(REQUIREMENTS, encoding="utf-8")
    return make_bundle(tmp_path / "exports" / "onnx", onnx=True)


def test_check_and_promote(loquela: Loquela, bundle: Path) -> None:
    done = loquela("deploy-check", str(bundle), "--requirements", "requirements.yaml")
    assert done.code == 0, done.err
    assert "onnx: onnx, float32, onnxruntime; 28,800 parameters, 0.1 MB" in done.out
    assert "golden prompts: 3 of 3 token-exact (24 tokens)" in done.out
    assert "MISSED" not in done.out
    assert "nothing was promoted in" in done.err
    assert f"  loquela promote {bundle}" in done.out
    assert (bundle.parent.parent / "checks" / "onnx" / "deploy_report.html").is_file()
    promoted = loquela("promote", str(bundle))
    assert promoted.code == 0
    assert "exports/onnx is promoted (digest " in promoted.out
    assert "checks/promoted.json" in promoted.out
    assert loquela("promote", str(bundle), "--json").json["bundle"] == "exports/onnx"


def test_a_bundle_that_does_not_pass(loquela: Loquela, bundle: Path) -> None:
    command = ("deploy-check", str(bundle), "--requirements", "requirements.yaml")
    slow = ("--set", "deploy.max_cold_start_seconds=0.001", "--output", "elsewhere")
    done = loquela(*command, *slow)
    assert done.code == 5
    assert "MISSED" in done.out
    assert "asks for at most 0.001; the report is in elsewhere/deploy_report.html" in done.err
    assert "to mend it: use a smaller or quantized export or a faster machine" in done.err
    error = loquela(*command, *slow, "--json").error
    assert error["code"] == "PERFORMANCE_BELOW_THRESHOLD"
    assert len(error["details"]["failures"]) == 1
    refused = loquela("promote", str(bundle), "--report", "elsewhere/deploy_report.json")
    assert refused.code == 5
    assert "is not promoted: it did not pass its check: cold_start_seconds is" in refused.err


def test_json_is_the_report(loquela: Loquela, bundle: Path) -> None:
    report = loquela("deploy-check", str(bundle), "--requirements", "requirements.yaml", "--json").json
    assert report["passed"] is True
    assert {figure["name"] for figure in report["figures"]} >= {"latency_p99_ms", "ttft_p95_ms", "token_gap_p95_ms"}


def test_wrong_requirements(loquela: Loquela, bundle: Path) -> None:
    done = loquela("deploy-check", str(bundle), "--set", "deploy.min_goodput=0.9")
    assert done.code == 2
    assert "min_goodput counts requests that met an objective" in done.err
    assert loquela("deploy-check", str(bundle), "--requirements", "none.yaml").code == 2
    missing = loquela("deploy-check", "nowhere")
    assert missing.code == 3
    assert "no bundle in nowhere" in missing.err


def test_interrupted_by_a_person(bundle: Path) -> None:
    command = [sys.executable, "-m", "loquela", "deploy-check", str(bundle), "--requirements", "requirements.yaml"]
    # Two hundred seconds of waiting for requests, were it let.
    slow = ["--set", "deploy.load.rate_per_second=0.1", "--set", "deploy.load.requests=20"]
    slow += ["--set", "deploy.load.max_seconds=250", "--set", "deploy.min_throughput_qps=null"]
    home = bundle.parent.parent
    process = subprocess.Popen([*command, *slow], cwd=home, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    children = until(psutil.Process(process.pid).children)
    os.kill(process.pid, signal.SIGINT)
    _, said = process.communicate(timeout=120)
    assert process.returncode == 75, said
    assert "was measured (" in said
    assert "no report was written" in said
    assert "Traceback" not in said
    assert children
    assert not any(child.is_running() and child.status() != psutil.STATUS_ZOMBIE for child in children)
    assert not (home / "checks").exists()
