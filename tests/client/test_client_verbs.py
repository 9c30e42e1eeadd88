"""`loquela --server` against the real service: every verb on one small run, with what it shows and its exit code."""

import json
import tarfile
import time

import pytest
import yaml

from loquela import Client
from loquela.cli.main import answer
from loquela.client.client import Client as SameClient
from loquela.core.errors import Interrupted, ProofError
from served import Served
from worker_runs import recipe

GENEROUS = ("--set", "evaluate.budgets.latency_p95_ms=1e6", "--set", "evaluate.budgets.tokens_per_second=0.001",
            "--set", "evaluate.budgets.rss_mb=1e6", "--set", "evaluate.budgets.peak_mb=1e6",
            "--set", "deploy.load.requests=3", "--set", "deploy.load.repeats=1", "--set", "deploy.load.new_tokens=4",
            "--set", "deploy.load.rate_per_second=20")  # fmt: skip


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    home = tmp_path_factory.mktemp("my recipes")
    (home / "run.yaml").write_text(yaml.safe_dump(recipe(home, epochs=2)))
    return home


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    made = Served(tmp_path_factory.mktemp("a service"))
    yield made
    assert made.stop() == 0


@pytest.fixture(scope="module")
def client(served):
    with Client(served.address, served.key) as client:
        yield client


@pytest.fixture(scope="module")
def run_id(client, home):
    """A run that has succeeded."""
    file = client.upload(home / "story.txt")
    asked = recipe(home, epochs=2)
    asked["data"]["sources"] = [f"upload:{file.id}"]
    run = client.train(asked)
    assert client.wait(run.run_id).state == "succeeded"
    return run.run_id


@pytest.fixture
def at_service(served, capsys, tmp_path, monkeypatch):
    """`loquela --server … ARGUMENTS`: exit code, stdout, stderr."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments):
        key_file = str(served.data / "keys" / "owner.key")
        code = answer(["--server", served.address, "--key-file", key_file, *arguments])
        told = capsys.readouterr()
        return code, told.out, told.err

    return call


def test_a_recipe_is_validated(at_service, home):
    code, out, err = at_service("validate", str(home / "run.yaml"))
    assert code == 0 and "is valid at http://" in out and "uploaded story.txt" in err
    assert json.loads(at_service("validate", str(home / "run.yaml"), "--json")[1])["valid"] is True
    opens = ("--set", "data.allow_private_addresses=true", "--set", "compute.data=slurm")
    code, out, err = at_service("validate", str(home / "run.yaml"), *opens)
    assert (code, out) == (2, "") and "the recipe has 2 problems" in err
    assert "data.allow_private_addresses: it would open the server's own network" in err


def test_data_is_prepared(at_service, home, client):
    code, out, _ = at_service("prepare-data", str(home / "run.yaml"), "--json")
    assert code == 0
    made = json.loads(out)
    assert made["state"] == "succeeded"
    names = [event.data.get("stage") for event in client.follow(made["run_id"]) if "stage_completed" in event.name]
    assert names == ["ingest", "tokenizer", "prepare"]


def test_two_runs_are_compared(at_service, client, run_id):
    prepared = next(run.run_id for run in client.runs().runs if run.run_id != run_id)
    code, out, err = at_service("runs", "diff", run_id, prepared)
    assert code == 0, err
    assert "versions: the same" in out and "train" in out and prepared in out
    found = json.loads(at_service("runs", "diff", run_id, run_id, "--json")[1])
    assert (found["first"], found["recipe"], found["results"]) == (run_id, [], [])
    assert client.compare(run_id, prepared).stages[0].what


def test_a_run_is_evaluated(at_service, home, run_id):
    code, out, err = at_service("evaluate", run_id[:-2], "--text", str(home / "story.txt"))
    assert code == 0 and "perplexity" in out and "uploaded story.txt" in err and "queued as evaluate-" in err
    assert f"{len((home / 'story.txt').read_bytes()):,}" in out


def test_an_export_on_its_way_into_use(at_service, client, run_id, tmp_path):
    """Exported, refused before its check and after one that it misses, checked, promoted, downloaded."""
    code, out, err = at_service("export", run_id, "--format", "onnx")
    assert code == 0, err
    assert f"bundle:  {run_id}/onnx at http://" in out and "deploy-check" in out
    code, _, err = at_service("promote", f"{run_id}/onnx")
    assert code == 3 and "there is no report of a check" in err and str(tmp_path.anchor + "my data") not in err
    code, out, err = at_service("deploy-check", f"{run_id}/onnx", *GENEROUS, "--set", "deploy.max_ttft_ms=0.001")
    assert code == 5 and "MISSED" in out and "did not pass its check" in err
    code, _, err = at_service("promote", f"{run_id}/onnx")
    assert code == 5 and "is not promoted: it did not pass its check" in err
    assert client.promotions(run_id).in_use is None
    code, out, err = at_service("deploy-check", f"{run_id}/exports/onnx", *GENEROUS)
    assert code == 0, err
    assert "MISSED" not in out and f"promote {run_id}/onnx" in out
    code, out, err = at_service("promote", f"{run_id}/onnx")
    assert code == 0 and "exports/onnx is promoted (digest" in out
    found = client.promotions(run_id)
    assert (found.in_use, len(found.promotions)) == ("onnx", 1)
    assert found.promotions[0].bundle_digest == client.exports(run_id)[0].digest
    job = client.jobs(kind="promote", states=["succeeded"], run_id=run_id).jobs[0]
    assert "deployment.promoted.v1" in [event.name for event in client.follow(job_id=job.job_id)]
    acts = [entry for entry in client.audit(action="promote.submit").entries if entry.target == job.job_id]
    assert len(acts) == 1 and acts[0].details["run_id"] == run_id
    assert [each.state for each in client.deploy_checks(run_id).jobs] == ["succeeded", "failed"]
    with pytest.raises(ProofError, match="did not pass its check"):
        client.wait(client.deploy_checks(run_id).jobs[1].job_id)
    # It is stored by itself, a moment after the last work on it has ended.
    until = time.monotonic() + 60
    while at_service("artifacts", "download", f"{run_id}/onnx", "--output", "onnx.tar")[0] != 0:
        assert time.monotonic() < until
        time.sleep(0.2)
    with tarfile.open(tmp_path / "onnx.tar") as tar:
        assert "manifest.json" in tar.getnames()
    code, _, err = at_service("artifacts", "download", f"{run_id}/onnx", "--output", "onnx.tar")
    assert code == 2 and "onnx.tar is there already" in err
    code, _, err = at_service("artifacts", "download", f"{run_id}/gguf")
    assert code == 2 and f"no single export of {run_id} is stored" in err


def test_what_is_stored_is_listed(at_service, run_id, tmp_path):
    code, out, _ = at_service("artifacts", "list")
    assert code == 0 and run_id in out
    code, out, _ = at_service("artifacts", "list", "--kind", "model", "--json")
    assert {each["kind"] for each in json.loads(out)} == {"model"}
    code, out, _ = at_service("artifacts", "download", run_id, "--json")
    assert code == 0 and (tmp_path / json.loads(out)["file"]).stat().st_size == json.loads(out)["size_bytes"]


def test_jobs_logs_alerts_and_the_audit_log_are_shown(at_service, client, run_id):
    code, out, err = at_service("verify", run_id)
    assert code == 0 and f"{run_id}: all " in out and "proofs hold" in out
    job = err.split()[2]
    code, out, _ = at_service("jobs", "watch", job)
    assert code == 0 and f"{job}: verify of {run_id}, succeeded" in out
    code, out, _ = at_service("jobs", "list", "--kind", "verify", "--run", run_id[:-1])
    assert code == 0 and job in out
    assert json.loads(at_service("jobs", "show", job, "--json")[1])["result"]["passed"] is True
    code, _, err = at_service("jobs", "cancel", job)
    assert code == 2 and "INVALID_STATE" in err
    code, _, err = at_service("jobs", "watch", "nothing")
    assert code == 2 and "there is no job 'nothing'" in err
    code, newest, _ = at_service("runs", "logs", run_id, "--lines", "3")
    code, followed, _ = at_service("runs", "logs", run_id, "--follow")
    assert code == 0 and len(newest.splitlines()) == 3 and followed.endswith(newest)
    assert at_service("alerts", "list", run_id)[1] == f"nothing was told of {run_id}\n"
    assert "told: nobody, there is no channel" in at_service("alerts", "firing")[1]
    code, _, err = at_service("alerts", "test")
    assert code == 2 and "this service has no alert channel" in err
    code, out, _ = at_service("audit", "list", "--action", "verify.submit")
    assert code == 0 and job in out
    assert len(json.loads(at_service("audit", "list", "--limit", "2", "--json")[1])) == 2


def test_what_a_run_has_not_is_said_as_here(at_service, run_id):
    code, _, err = at_service("merge-adapter", run_id)
    assert code == 2 and "has no adapter that could be merged" in err


def test_ctrl_c_ends_the_waiting_and_says_how_to_go_on(at_service, run_id, monkeypatch, capsys):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(SameClient, "follow", interrupted)
    with pytest.raises(SystemExit) as ended:
        at_service("verify", run_id)
    said = capsys.readouterr().err
    assert ended.value.code == 130 and "the job goes on; look: " in said and "jobs cancel verify-" in said


@pytest.mark.slow
def test_a_run_is_paused_and_gone_on_with(at_service, client, home, monkeypatch):
    file = client.upload(home / "story.txt")
    asked = recipe(home, epochs=400)
    asked["data"]["sources"] = [f"upload:{file.id}"]
    run = client.train(asked).run_id
    for event in client.follow(run):
        if event.name == "trainer.metrics.progress.v1":
            break
    code, out, _ = at_service("runs", "pause", run)
    assert code == 0 and run in out
    code, out, _ = at_service("runs", "watch", run)
    assert code == 0 and f"{run}: paused" in out
    follow = SameClient.follow

    def cancelled_meanwhile(self, *given, **options):
        for event in follow(self, *given, **options):
            yield event
            if event.name == "job.running.v1":
                self.cancel(run)

    monkeypatch.setattr(SameClient, "follow", cancelled_meanwhile)
    code, out, err = at_service("resume", run)
    assert code == 0 and f"{run}: cancelled" in out and f"queued again as {run}" in err


def test_a_job_that_somebody_stopped_is_no_result(client, run_id):
    for _ in range(2):
        last = client.verify(run_id).job_id
    stopped = client.cancel_job(last)
    if stopped.state != "succeeded":
        with pytest.raises(Interrupted, match=f"{last} was cancelled before it was done"):
            client.wait(last)
        assert client.resume_job(last).state == "queued"
    assert client.wait(last).state == "succeeded"


def test_a_run_that_was_changed_fails_its_proof(at_service, served, run_id):
    weights = served.data / "runs" / run_id / "final" / "model.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    code, out, _ = at_service("verify", run_id)
    assert code == 5 and "FAILED  final whole" in out
    weights.write_bytes(whole)
