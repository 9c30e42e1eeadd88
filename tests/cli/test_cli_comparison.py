"""`loquela evaluate` of adapters: folders compared, limits on the command line, exit codes, tables."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cli_harness import Loquela

from toy_adapters import make_adapter
from toy_bases import toy_base
from toy_comparison import write_examples

SMALL = (
    "--set", "evaluate.tuned.max_new_tokens=4",
    "--set", "evaluate.tuned.bootstrap_samples=100",
    "--set", "evaluate.tuned.forgetting=false",
    "--set", "compute.threads=1",
)  # fmt: skip


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, ...]:
    place = tmp_path_factory.mktemp("folders")
    adapter, examples = make_adapter(place / "adapter", size=0.3), write_examples(place / "examples")
    return ("evaluate", "--base", str(toy_base()), "--adapter", str(adapter), "--examples", str(examples), *SMALL)


def test_folders_are_compared_and_shown_as_one_table(
    loquela: Loquela, folders: tuple[str, ...], tmp_path: Path
) -> None:
    done = loquela(*folders, "--output", str(tmp_path / "out"), "-q")
    assert done.code == 0, done.err
    assert "against its adapter on 10 test rows" in done.out
    assert "perplexity" in done.out and "95 %" in done.out
    assert (tmp_path / "out" / "manifest.json").is_file()
    assert f"report: {tmp_path / 'out' / 'report.md'}" in done.out


def test_a_missed_limit_exits_with_5_and_the_table(loquela: Loquela, folders: tuple[str, ...], tmp_path: Path) -> None:
    out = ("--output", str(tmp_path / "out"), "-q")
    done = loquela(*folders, *out, "--fail-under", "json_validity=0.98", "--fail-under", "refusal_correctness=0")
    assert done.code == 5
    assert "MISSED" in done.out and "met" in done.out
    assert "json_validity is 0, at least 0.98 is asked for" in done.err
    # What was measured is there: nothing is generated again, and other limits give another verdict.
    before = (tmp_path / "out" / "outputs.jsonl").stat().st_mtime_ns
    assert loquela(*folders, *out, "--fail-under", "refusal_correctness=0").code == 0
    assert (tmp_path / "out" / "outputs.jsonl").stat().st_mtime_ns == before


def test_json_is_the_whole_comparison_or_the_error(loquela: Loquela, folders: tuple[str, ...], tmp_path: Path) -> None:
    out = ("--output", str(tmp_path / "out"), "--json")
    found = loquela(*folders, *out).json
    assert found["base_equals_plain"] is True
    assert {metric["name"] for metric in found["metrics"]} >= {"loss", "perplexity", "token_f1"}
    error = loquela(*folders, *out, "--fail-under", "json_validity=0.98").error
    assert error["code"] == "PERFORMANCE_BELOW_THRESHOLD"
    assert error["details"]["missed"][0]["name"] == "json_validity"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--fail-under", "json_validty=0.9"), "no such metric 'json_validty'; did you mean 'json_validity'"),
        (("--fail-under", "json_validity"), "write METRIC=NUMBER"),
        (("--fail-under", "json_validity=nan"), "write METRIC=NUMBER"),
        (("--fail-under", "perplexity=3"), "not a metric of which more is better"),
    ],
)
def test_limits_that_are_none(
    loquela: Loquela, folders: tuple[str, ...], tmp_path: Path, options: tuple[str, ...], said: str
) -> None:
    done = loquela(*folders, "--output", str(tmp_path / "out"), *options)
    assert done.code == 2
    assert said in done.err


def test_folders_come_together(loquela: Loquela, tmp_path: Path) -> None:
    done = loquela("evaluate", "--base", str(toy_base()))
    assert done.code == 2
    assert "to compare folders, give --adapter, --examples too" in done.err
    assert "give a RECIPE, or --base, --adapter and --examples" in loquela("evaluate").err
    gone = loquela("evaluate", "--base", str(toy_base()), "--adapter", str(tmp_path / "x"), "--examples", str(tmp_path))
    assert gone.code == 3
    assert "there is no folder" in gone.err


def test_a_run_is_compared_gated_and_gone_on_with(
    loquela: Loquela, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The whole way: train, compare, miss a limit with the table; then the limit goes, and nothing is made again."""
    rows = [{"prompt": f"Where is river {n}?", "completion": f"Under bridge {n}."} for n in range(24)]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    recipe = {
        "name": "cmp",
        "output_directory": str(tmp_path / "data"),
        "examples": {"sources": [str(tmp_path / "rows.jsonl")], "test_fraction": 0.25, "validation_fraction": 0.1},
        "finetune": {
            "base": str(toy_base()),
            "max_steps": 2,
            "lora": {"rank": 2, "alpha": 4},
            "proofs": {"canary_rows": 0, "rehearsal": False},
        },
        "evaluate": {"tuned": {"max_new_tokens": 4, "bootstrap_samples": 100, "forgetting": False}},
        "compute": {"device": "cpu", "threads": 1},
    }
    path = tmp_path / "recipe.yaml"
    path.write_text(json.dumps(recipe))
    missed = loquela("evaluate", str(path), "-q", "--fail-under", "token_f1=0.99")
    assert missed.code == 5, missed.err
    assert "MISSED" in missed.out
    runs = list((tmp_path / "data" / "runs").iterdir())
    passed = loquela("evaluate", str(path), "--json")
    assert passed.code == 0, passed.out
    assert list((tmp_path / "data" / "runs").iterdir()) == runs
    stages = passed.json["manifest"]["stages"]
    assert stages["finetune"]["reused"] and stages["compare"]["reused"]
    assert stages["compare"]["facts"]["base_equals_plain"] is True
    shown = loquela("runs", "show", str(runs[0]))
    assert "against its adapter on 6 test rows" in shown.out, shown.err
    diff = loquela("runs", "diff", str(runs[0]), str(runs[0]))
    assert "examples: the same 24" in diff.out
    assert "adapters on the 6 rows of both" in diff.out
