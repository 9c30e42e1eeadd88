"""The bench of silent faults: a fault of every kind is caught by name; the published table is what was measured."""

from __future__ import annotations

import importlib
import json
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
RESULTS = BENCHMARKS / "results" / "silent-faults.json"
PAGE = Path(__file__).parents[2] / "docs" / "silent-faults.md"
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning", "ignore::RuntimeWarning")

QUICK = [
    "typo_in_recipe",
    "control_text",
    "stop_masked",
    "contaminated_packing",
    "mean_of_means",
    "optimizer_of_a_copy",
    "base_written",
    "damaged_base",
    "tampered_config",
]


@pytest.fixture
def planted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARKS))


def caught(name: str, folder: Path) -> None:
    known = importlib.import_module("planted.faults").KNOWN
    ours = getattr(importlib.import_module("planted.our_faults"), name)(folder)
    assert ours.by is not None, f"{name} was not caught"
    assert known[name][1] in ours.by.split(", ")
    assert ours.says
    assert ours.when


@pytest.mark.usefixtures("planted")
@pytest.mark.parametrize("name", QUICK)
def test_a_fault_is_caught_by_name(tmp_path: Path, name: str) -> None:
    caught(name, tmp_path)


@pytest.mark.slow
@pytest.mark.usefixtures("planted")
@pytest.mark.parametrize("name", [name for name in json.loads(RESULTS.read_text())["names"] if name not in QUICK])
def test_every_other_fault_is_caught_by_name(tmp_path: Path, name: str) -> None:
    caught(name, tmp_path)


@pytest.mark.usefixtures("planted")
def test_the_published_table_is_what_was_measured() -> None:
    report = json.loads(RESULTS.read_text())
    known = importlib.import_module("planted.faults").KNOWN
    assert [row["name"] for row in report["faults"]] == list(known) == report["names"]
    assert all(row["named"] for row in report["faults"])
    assert len(report["faults"]) >= 20
    tables = importlib.import_module("planted.page")
    assert PAGE.read_text(encoding="utf-8") == tables.page(report)
