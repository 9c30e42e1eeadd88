"""`loquela artifacts`, and a command that needs a run whose folders are in the store only."""

import json

import pytest

from loquela.api import Run
from loquela.cli.main import answer
from loquela.jobs.settings import ServiceSettings
from loquela.runs.status import Phase, PipelineStatus
from loquela.service.parts import make_parts
from stored_runs import ended_job, make_run
from toy_run import make_run as make_model


@pytest.fixture
def service(tmp_path, monkeypatch):
    """A service's data folder with two runs in it, one of them with a model that answers."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LOQUELA_CLEANUP_GRACE_PERIOD_SECONDS", "0")
    data = tmp_path / "loquela-data"
    parts = make_parts(ServiceSettings(data=data, archive_runs=False))
    make_run(data)
    toy = make_model(data / "runs" / "toy-1")
    PipelineStatus(run_id="toy-1", current_phase=Phase.COMPLETE).save(toy)
    for name in ("tiny-1", "toy-1"):
        ended_job(parts.database, parts.clock, name)
        parts.archivist.store_run(name)
    parts.close()
    return data


@pytest.fixture
def run_command(capsys):
    def run(*words):
        code = answer(list(words))
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


def test_listed_verified_cleaned_and_brought_back(service, run_command):
    code, listed, _ = run_command("artifacts", "list", "--kind", "run")
    assert code == 0
    assert [line.split()[1] for line in listed.splitlines() if line.split()[:1] == ["run"]] == ["toy-1", "tiny-1"]
    stored = json.loads(run_command("artifacts", "list", "--json")[1])
    assert {each["kind"] for each in stored} == {"run", "model", "tokenizer", "evaluation", "export"}
    code, said, _ = run_command("artifacts", "verify")
    assert code == 0 and "MB in loquela-data/artifacts: all as stored" in said
    assert json.loads(run_command("artifacts", "verify", "--json")[1])["verified"] > 5

    code, said, _ = run_command("artifacts", "clean-up", "--dry-run")
    assert code == 0 and "would go    run tiny-1: 9 files" in said and "MB would be freed" in said
    assert (service / "runs" / "tiny-1" / "final").is_dir()
    gone = json.loads(run_command("artifacts", "clean-up", "--json")[1])
    assert {(each["id"], each["outcome"]) for each in gone} == {("tiny-1", "completed"), ("toy-1", "completed")}
    assert not (service / "runs" / "tiny-1" / "final").exists()
    assert run_command("artifacts", "clean-up")[1] == "0.0 MB freed\n"

    code, said, _ = run_command("artifacts", "restore", "tiny-1")
    assert code == 0 and said == "loquela-data/runs/tiny-1 is whole\n"
    assert (service / "runs" / "tiny-1" / "final").is_dir()
    code, _, wrong = run_command("artifacts", "restore", "other")
    assert code == 2 and "there is no stored run 'other'" in wrong

    code, said, _ = run_command("artifacts", "store", "tiny-1")
    assert code == 0 and said.startswith("tiny-1 is stored: ") and "sha256" in said
    assert json.loads(run_command("artifacts", "store", "tiny-1", "--json")[1])["run_id"] == "tiny-1"
    code, _, wrong = run_command("artifacts", "store", "no-such-run")
    assert code == 2 and "no run 'no-such-run'" in wrong

    words = ("generate", "toy-1", "--output-directory", str(service), "--prompt", "Once", "--max-new-tokens", "2")
    assert run_command(*words)[0] == 0 and (service / "runs" / "toy-1" / "final").is_dir()
    run_command("artifacts", "clean-up")
    assert Run(service / "runs" / "toy-1").checkpoint.is_dir()
    blob = next((service / "artifacts" / "sha256").glob("*/*"))
    blob.unlink()
    code, _, wrong = run_command("artifacts", "verify")
    assert code == 3 and "has no tarball" in wrong


def test_where_nothing_is_stored_it_says_so(tmp_path, monkeypatch, run_command):
    monkeypatch.chdir(tmp_path)
    code, said, _ = run_command("artifacts", "list")
    assert code == 0 and said.startswith("nothing is stored yet")
    monkeypatch.setenv("LOQUELA_ARTIFACT_URL", "gs://bucket")
    code, _, wrong = run_command("artifacts", "verify")
    assert code == 2 and "is no place for artifacts" in wrong
