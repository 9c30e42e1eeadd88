"""From a recipe to a package by command: merged, packaged, verified, reused; killed anywhere, nothing half is left."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from loquela.artifacts.crash_points import VARIABLE
from loquela.artifacts.manifest import read_manifest, write_manifest
from loquela.artifacts.passport import verify_artifact
from loquela.cli.main import answer
from loquela.runs.verify import verify_run
from toy_bases import toy_base
from toy_package import make_sources

RECIPE = """
schema_version: 1
name: tiny
examples: {sources: [rows.jsonl], template: auto, validation_fraction: 0.2, test_fraction: 0.0}
finetune:
  base: base
  method: METHOD
  lora: {rank: 4, alpha: 8, dropout: 0.0}
  max_steps: 2
  batch_size: 4
  gradient_accumulation_steps: 1
  learning_rate: 0.01
  proofs: {canary_rows: 0, rehearsal: false}
compute: {device: cpu, threads: 1}
"""
BESIDE = ("baseline_checksums.json", "metrics_history.jsonl", "training_summary.json", "training_results.json")
TESTS = Path(__file__).parents[1]


def made(home: Path, method: str) -> Path:
    """A finished run of two steps below `home`."""
    shutil.copytree(toy_base(), home / "base")
    rows = [
        {"messages": [{"role": "user", "content": f"River {i}?"}, {"role": "assistant", "content": f"Bridge {i}."}]}
        for i in range(12)
    ]
    (home / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (home / "recipe.yaml").write_text(RECIPE.replace("METHOD", method))
    before = Path.cwd()
    os.chdir(home)
    try:
        assert answer(["run", "recipe.yaml", "--resume", "never", "--quiet"]) == 0
    finally:
        os.chdir(before)
    (run,) = (home / "data" / "runs").iterdir()
    return run


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    return made(tmp_path_factory.mktemp("a home with spaces"), "lora")


@pytest.fixture
def at_home(finished, monkeypatch, capsys):
    monkeypatch.chdir(finished.parents[2])

    def call(*arguments: str) -> tuple[int, str]:
        capsys.readouterr()
        code = answer(list(arguments))
        captured = capsys.readouterr()
        return code, captured.out + captured.err

    return call


def test_a_run_ends_with_all_that_the_seed_names(finished, at_home):
    assert all((finished / name).is_file() for name in BESIDE)
    assert {path.name for path in finished.iterdir()} >= {"adapter", "merged", "final_artifact"}
    metadata = json.loads((finished / "final_artifact" / "metadata.json").read_text())
    assert metadata["base"]["unchanged"] is True
    assert [link["role"] for link in metadata["chain"]] == ["examples", "base", "adapter", "comparison", "merged"]
    assert metadata["data"]["splits"]["train"]["learnt_tokens"] > 0
    assert metadata["training"]["steps"] == 2
    code, said = at_home("verify", "latest")
    assert code == 0
    assert "ok      final_artifact made from: from base, examples, adapter, comparison, merged" in said


def test_a_package_is_verified_by_its_folder(finished, at_home):
    code, said = at_home("verify", str(finished / "final_artifact"))
    assert code == 0
    assert "proofs hold" in said
    code, said = at_home("verify", str(finished / "final_artifact"), "--json")
    assert json.loads(said)["kind"] == "final_artifact"
    code, _ = at_home("generate", str(finished / "final_artifact"), "--prompt", "River", "--max-new-tokens", "2")
    assert code == 0


@pytest.mark.parametrize("name", ["adapter_model.safetensors", "adapter_config.json", "README.md", "manifest.json"])
def test_a_tampered_package_fails_and_is_not_loaded(finished, at_home, tmp_path, name):
    package = tmp_path / "tampered one"
    shutil.copytree(finished / "final_artifact", package)
    data = bytearray((package / name).read_bytes())
    data[len(data) // 2] ^= 1
    (package / name).write_bytes(data)
    code, said = at_home("verify", str(package))
    assert code == 5
    assert f"changed: {name}" in said or "FAILED  manifest" in said
    code, said = at_home("generate", str(package), "--prompt", "River", "--max-new-tokens", "1")
    assert code == 3
    assert "CORRUPTION" in said


def test_a_package_without_a_manifest_is_not_taken_for_a_run(finished, at_home, tmp_path):
    package = tmp_path / "package"
    shutil.copytree(finished / "final_artifact", package)
    (package / "manifest.json").unlink()
    code, said = at_home("verify", str(package))
    assert code == 5
    assert "it has no manifest.json" in said


def test_a_package_of_another_adapter_is_found_in_its_run(finished, tmp_path):
    run = tmp_path / "data" / "runs" / finished.name
    shutil.copytree(finished, run)
    package = run / "final_artifact"
    manifest = read_manifest(package)
    (package / "manifest.json").unlink()
    write_manifest(package, manifest.kind, parents={**manifest.parents, "adapter": "0" * 64}, facts=manifest.facts)
    proofs = {proof.name: proof for proof in verify_run(run).proofs}
    assert proofs["final_artifact made from"].message == "made from another adapter than the run's"
    assert proofs["merged made from"].passed
    assert proofs["base"].passed


def test_a_merge_that_is_there_is_not_made_again(finished, at_home):
    before = (finished / "merged" / "manifest.json").stat().st_mtime_ns
    code, said = at_home("merge-adapter", "latest")
    assert code == 0
    assert "was there before, whole" in said
    assert "loquela chat" in said
    assert (finished / "merged" / "manifest.json").stat().st_mtime_ns == before


def test_a_package_alone_is_merged_by_the_base_that_it_names(finished, at_home, tmp_path):
    package = tmp_path / "handed on"
    shutil.copytree(finished / "final_artifact", package)
    # It names no folder of the machine that made it: its base lies beside it.
    code, said = at_home("merge-adapter", str(package), "--json")
    assert code == 3 and str(tmp_path / "base") in said
    shutil.copytree(finished.parents[2] / "base", tmp_path / "base")
    code, said = at_home("merge-adapter", str(package), "--json")
    assert code == 0
    found = json.loads(said)
    assert found["merged"] == str(tmp_path / "handed on-merged")
    assert found["report"]["prompts"].startswith("built-in texts")
    assert found["report"]["candidates"][0]["mean_kl"] < 1e-9
    assert verify_artifact(tmp_path / "handed on-merged").passed
    parents = read_manifest(tmp_path / "handed on-merged").parents
    assert parents == read_manifest(finished / "merged").parents
    assert found["report"]["adapter_digest"] == parents["adapter"] == read_manifest(finished / "adapter").digest


def test_what_is_no_merged_model_is_never_replaced(finished, at_home, tmp_path):
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "thesis.txt").write_text("years of work")
    code, said = at_home("merge-adapter", "latest", "--output", str(mine))
    assert code == 2
    assert "is no merged model that is whole" in said
    assert (mine / "thesis.txt").read_text() == "years of work"


def test_what_is_no_adapter_or_the_wrong_base_is_told(finished, at_home, tmp_path):
    code, said = at_home("merge-adapter", str(finished / "merged"))
    assert code == 3
    assert "holds no adapter: it has no adapter_config.json" in said
    code, said = at_home("merge-adapter", "latest", "--base", str(toy_base("qwen3")), "--output", str(tmp_path / "m"))
    assert code == 3
    assert "was trained on" in said
    assert not (tmp_path / "m").exists()


def test_run_again_everything_is_reused(finished, at_home):
    digest = verify_artifact(finished / "final_artifact").digest
    code, _ = at_home("run", "recipe.yaml", "--resume", finished.name, "--quiet")
    assert code == 0
    assert verify_artifact(finished / "final_artifact").digest == digest


@pytest.mark.slow
def test_a_full_fine_tuning_is_packaged_as_a_whole_model(tmp_path, capsys):
    import transformers

    run = made(tmp_path, "full")
    assert not (run / "merged").exists()
    package = run / "final_artifact"
    assert (package / "model.safetensors").is_file()
    assert not (package / "adapter_config.json").exists()
    assert "a whole model, every weight of it trained" in (package / "README.md").read_text()
    report = verify_artifact(package)
    assert report.passed, [proof.message for proof in report.proofs if not proof.passed]
    transformers.AutoModelForCausalLM.from_pretrained(package)
    assert answer(["merge-adapter", str(package)]) == 3
    assert "holds no adapter" in capsys.readouterr().err


CHILD = """
import sys
sys.path[:0] = [TESTS]
from pathlib import Path
from loquela.finetuning.packaging.metadata import create_artifact_metadata
from loquela.finetuning.packaging.package import save_adapter_artifact
from loquela.finetuning.packaging.sources import PackageSources
from loquela.models.pretrained.open import open_base
from loquela.recipe.finetune_section import FinetuneSection
from toy_package import merge_here
run, output = Path(sys.argv[1]), Path(sys.argv[2])
folders = {kind: next((output / "artifacts" / kind).iterdir()) for kind in ("base", "examples", "qa")}
merge_here(run, open_base(folders["base"]), folders["examples"])
folders |= {"adapter": run / "adapter", "comparison": run / "eval", "merged": run / "merged"}
sources = PackageSources("toy", run, FinetuneSection(base="b"), folders)
save_adapter_artifact(sources, create_artifact_metadata(sources), run / "final_artifact")
"""


@pytest.mark.parametrize(
    ("point", "there"),
    [
        ("after_tensors:1", []),
        pytest.param("before_rename:1", [], marks=pytest.mark.slow),
        pytest.param("before_manifest:1", ["merged"], marks=pytest.mark.slow),
        pytest.param("before_rename:2", ["merged"], marks=pytest.mark.slow),
        pytest.param("after_rename:2", ["final_artifact", "merged"], marks=pytest.mark.slow),
    ],
)
def test_killed_while_merging_or_packaging_nothing_half_is_left(tmp_path, point, there):
    output = tmp_path / "a place"
    sources = make_sources(output, merged=False)
    code = CHILD.replace("TESTS", repr(str(TESTS)))
    command = [sys.executable, "-c", code, str(sources.run), str(output)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", VARIABLE: point}
    assert subprocess.run(command, env=environment, capture_output=True).returncode == -signal.SIGKILL
    names = ("final_artifact", "merged")
    assert [name for name in names if (sources.run / name).exists()] == there
    assert all(verify_artifact(sources.run / name).passed for name in there)
    if point == "after_tensors:1":
        again = {name: value for name, value in environment.items() if name != VARIABLE}
        assert subprocess.run(command, env=again, capture_output=True).returncode == 0
        assert all(verify_artifact(sources.run / name).passed for name in names)
        assert not list(sources.run.glob(".tmp-*"))
