"""Requirements that contradict each other are refused where they are written."""

from __future__ import annotations

from pathlib import Path

import pytest

from loquela.core.errors import ErrorCode, RecipeError
from loquela.recipe.deploy_section import DeploySection
from loquela.recipe.loading import load_recipe


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        (
            "min_throughput_qps: 5\n  load: {rate_per_second: 2}",
            "load.rate_per_second is 2, so that min_throughput_qps 5 can never be seen: offer at least as many",
        ),
        (
            "min_throughput_qps: 1\n  load: {requests: 1000}",
            "1000 requests at 1.25 per second take 800 seconds to arrive, load.max_seconds allows 60: lower",
        ),
        (
            "max_latency_ms: 100\n  max_ttft_ms: 200",
            "max_ttft_ms is 200, max_latency_ms only 100: a first token is never later than the last one",
        ),
        ("min_goodput: 0.9", "min_goodput counts requests that met an objective: give max_latency_ms or max_ttft_ms"),
        (
            "budgets: {rss_mb: 300, peak_mb: 200}",
            "budgets.peak_mb is 200, below budgets.rss_mb 300: the peak is never less than what is resident",
        ),
        (
            "limits: {wall_seconds: 30}",
            "load.max_seconds is 60, but the process is ended after limits.wall_seconds 30: allow more",
        ),
    ],
)
def test_contradictions(tmp_path: Path, keys: str, message: str) -> None:
    path = tmp_path / "requirements.yaml"
    path.write_text(f"deploy:\n  {keys}\n", encoding="utf-8")
    with pytest.raises(RecipeError) as caught:
        load_recipe(path)
    assert caught.value.code is ErrorCode.CONFIG_INVALID
    assert message in str(caught.value)
    assert str(path) in str(caught.value)


def test_the_rate_that_is_offered() -> None:
    assert DeploySection().offered_rate() is None
    assert DeploySection(min_throughput_qps=8).offered_rate() == 10.0
    assert DeploySection.model_validate({"min_throughput_qps": 8, "load": {"rate_per_second": 9}}).offered_rate() == 9


def test_without_a_key_there_is_no_section(tmp_path: Path) -> None:
    path = tmp_path / "r.yaml"
    path.write_text("seed: 1\n", encoding="utf-8")
    assert load_recipe(path).recipe.deploy is None
    assert load_recipe(path, ["deploy.max_latency_ms=7"]).recipe.deploy == DeploySection(max_latency_ms=7)
