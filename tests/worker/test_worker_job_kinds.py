"""Every kind of job on a real run: tokenizer, evaluation, export, deployment check, proof."""

import json
import os
import shutil
import signal
import uuid

import pytest

from loquela.artifacts.manifest import read_manifest, verify, write_manifest
from loquela.core.errors import DataError, ErrorCode, Interrupted, ProofError, RecipeError, ResourceError
from loquela.jobs.event_log import EventLog
from loquela.jobs.records import NewJob
from loquela.jobs.states import JobState, Reason
from loquela.jobs.submissions import Submissions
from loquela.runs.lock import RunLock
from loquela.runs.manifest import StageRecord, TrainingRunManifest
from loquela.runs.status import PipelineStatus
from loquela.worker.folders import JobRequest, job_folder, read_result
from loquela.worker.kinds import performer_of
from loquela.worker.performers import export as export_performer
from worker_runs import Bench, recipe

# A busy machine meets these too.
ANY = {"latency_p95_ms": 1e6, "tokens_per_second": 1e-3, "rss_mb": 1e6, "peak_mb": 1e6}


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    """A data folder with a run that was trained in it."""
    opened = Bench(tmp_path_factory.mktemp("kinds") / "a folder with blanks")
    do(opened, "run-1", "run", "run-1", recipe=recipe(opened.home))
    yield opened
    opened.close()


def do(bench, job_id, kind, run_id="run-1", **spec):
    """What the job's own process would do."""
    job_folder(bench.data, job_id).mkdir(parents=True, exist_ok=True)
    request = JobRequest(job_id=job_id, kind=kind, run_id=run_id, data=bench.data, spec=spec)
    return performer_of(kind)(request)


def test_a_tokenizer_is_trained_and_measured(bench):
    made = do(bench, "tok-1", "tokenizer", "tok-1", recipe=recipe(bench.home, tokenizer={"vocab_size": 280}))
    statistics = made["statistics"]
    assert statistics["vocab_size"] == 280
    assert 0 < statistics["coverage"] <= 1
    assert statistics["oov_rate"] == pytest.approx(1 - statistics["coverage"])
    assert verify(bench.data / "runs" / "tok-1" / "tokenizer").digest == made["digest"]
    with pytest.raises(DataError, match="run tok-1 has no trained model yet: none of best, final is whole"):
        do(bench, "evaluate-0", "evaluate", "tok-1")


def test_an_evaluation_measures_a_split_once_and_is_kept(bench):
    made = do(bench, "evaluate-1", "evaluate", split="train")
    found = made["report"]["validation"]
    assert found["split"] == "train"
    assert found["loss"] > 0
    assert "evaluations/evaluate-1/metrics.json" in made["artifacts"]
    run = bench.data / "runs" / "run-1"
    before = verify(run / "evaluations" / "evaluate-1")
    own = json.loads((run / "eval" / "metrics.json").read_text())
    assert own["validation"]["split"] == "validation"
    assert do(bench, "evaluate-1", "evaluate", split="train") == made
    assert verify(run / "evaluations" / "evaluate-1").digest == before.digest
    told = (job_folder(bench.data, "evaluate-1") / "events.jsonl").read_text()
    assert told.count("validation_runner.validation_complete.v1") == 1
    with pytest.raises(DataError, match="test"):
        do(bench, "evaluate-2", "evaluate", split="test")


def test_an_evaluation_of_a_text_of_its_own(bench):
    text = bench.home / "other.txt"
    text.write_text("The fox walked to the house and dreamt of the sea.\n")
    made = do(bench, "evaluate-3", "evaluate", source=str(text), shown_source="other.txt")
    assert (made["path_override"], made["split"]) == ("other.txt", None)
    assert made["report"]["validation"]["text_bytes"] == len(text.read_bytes())
    text.write_text("\n \n")
    with pytest.raises(DataError, match=r"there is no text in .*other\.txt"):
        do(bench, "evaluate-4", "evaluate", source=str(text))


def test_an_export_is_made_checked_and_not_made_twice(bench):
    made = do(bench, "export-1", "export", format="onnx")
    assert (made["name"], made["reused"], made["report"]["failures"]) == ("onnx", False, [])
    again = do(bench, "export-2", "export", format="onnx")
    assert (again["reused"], again["digest"]) == (True, made["digest"])
    load = {"requests": 3, "repeats": 1, "rate_per_second": 20, "new_tokens": 4}
    checked = do(bench, "check-1", "deploy_check", bundle="onnx", requirements={"load": load}, budgets=ANY)
    assert checked["report"]["verdicts"]
    assert (bench.data / "runs" / "run-1" / "checks" / "onnx" / "deploy_report.json").is_file()
    with pytest.raises(ProofError, match="did not pass its check"):
        do(bench, "check-2", "deploy_check", bundle="onnx", requirements={"load": load, "max_ttft_ms": 0.001})
    assert read_result(job_folder(bench.data, "check-2"))["report"]["failures"]
    with pytest.raises(ProofError, match="is not promoted: it did not pass its check"):
        do(bench, "promote-1", "promote", bundle="onnx")
    do(bench, "check-4", "deploy_check", bundle="onnx", requirements={"load": load}, budgets=ANY)
    done = do(bench, "promote-2", "promote", bundle="onnx")
    assert (done["bundle"], done["promotion"]["bundle_digest"]) == ("onnx", made["digest"])
    told = (job_folder(bench.data, "promote-2") / "events.jsonl").read_text()
    assert told.count("deployment.promoted.v1") == 1
    assert do(bench, "promote-3", "promote", bundle="onnx")["promotion"] == done["promotion"]
    with pytest.raises(DataError, match="gguf"):
        do(bench, "promote-4", "promote", bundle="gguf")


def test_without_a_format_the_one_that_is_served_fastest_is_made(bench):
    made = do(bench, "export-5", "export", format="safetensors", quantize="int8", fastest=True)
    assert made["name"] in ("gguf-int8", "onnx-int8")


def test_what_cannot_be_done_is_said(bench):
    with pytest.raises(DataError):
        do(bench, "check-3", "deploy_check", bundle="gguf")
    with pytest.raises(RecipeError, match="run run-1 has no adapter that could be merged"):
        do(bench, "merge-1", "merge")
    for kind in ("evaluate", "verify"):
        with pytest.raises(DataError, match="run nothing-1 has written nothing yet") as caught:
            do(bench, f"{kind}-5", kind, "nothing-1")
        assert caught.value.code is ErrorCode.RUN_NOT_FOUND
    with pytest.raises(DataError, match="nobody knows the recipe of run found-1"):
        do(bench, "found-1", "run", "found-1", recipe=None)
    with RunLock(bench.data / "runs" / "run-1"), pytest.raises(ResourceError, match="another process works on"):
        do(bench, "evaluate-6", "evaluate")


def test_an_export_that_is_asked_to_stop_leaves_nothing(bench, monkeypatch):
    def stopped(*given):
        os.kill(os.getpid(), signal.SIGTERM)
        raise AssertionError("it went on")

    monkeypatch.setattr(export_performer, "resolve", lambda entry: stopped)
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(Interrupted, match="stopped before it was done; nothing was changed"):
        do(bench, "export-3", "export", format="safetensors")
    assert signal.getsignal(signal.SIGTERM) is before
    with RunLock(bench.data / "runs" / "run-1"):
        pass


def test_a_run_that_was_changed_fails_its_proof_and_the_job_tells_which(bench):
    shutil.copytree(bench.data / "runs" / "run-1", bench.data / "runs" / "run-2")
    weights = bench.data / "runs" / "run-2" / "final" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x01")
    submissions = Submissions(bench.database, bench.clock)
    for number in (1, 2):
        submissions.submit(NewJob(id=f"verify-{number}", kind="verify", run_id=f"run-{number}", spec={}))
    submissions.submit(NewJob(id="evaluate-7", kind="evaluate", run_id="run-1", spec={}))
    bench.worker()
    held = bench.until_state("verify-1", JobState.SUCCEEDED, JobState.FAILED)
    assert (held.state, held.error) == (JobState.SUCCEEDED, None)
    assert held.result["passed"] is True
    broken = bench.until_state("verify-2", JobState.FAILED)
    assert broken.reason is Reason.PROOF_FAILED
    assert "proofs of run run-2 fail: final whole" in broken.error.message
    assert broken.result["passed"] is False
    done = bench.until_state("evaluate-7", JobState.SUCCEEDED, JobState.FAILED)
    assert (done.state, done.error) == (JobState.SUCCEEDED, None)
    names = [event.name for event in EventLog(bench.database, bench.clock).after(0, job_id="evaluate-7")]
    assert "validation_runner.validation_complete.v1" in names
    assert names[-1] == "job.succeeded.v1"


def made_tuning(data, name):
    """A run that fine-tunes a tiny base, as far as its adapter."""
    from loquela.artifacts.base import write_base
    from loquela.models.pretrained.identify import identify
    from toy_adapters import make_adapter
    from toy_bases import toy_base
    from toy_comparison import comparison_recipe, write_examples

    artifacts, run = data / "artifacts", data / "runs" / name
    base, examples = artifacts / "base" / "b", artifacts / "examples" / "e"
    base.mkdir(parents=True)
    write_base(base, identify(toy_base(), source="toy"))
    write_manifest(base, "base", facts={})
    write_examples(examples)
    make_adapter(run / "adapter", toy_base())
    stages = {
        stage: StageRecord(stage=stage, key=place.name, digest=read_manifest(place).digest, directory=str(place),
                           reused=False, seconds=0.0)
        for stage, place in (("base", base), ("examples", examples))
    }  # fmt: skip
    recipe = comparison_recipe()
    manifest = TrainingRunManifest(run_id=name, pipeline_id=uuid.uuid4(), recipe=recipe, seed=1, versions={},
                                   hardware={}, stages=stages)  # fmt: skip
    manifest.save(run)
    PipelineStatus(run_id=name).save(run)
    return run


@pytest.mark.slow
def test_a_fine_tuning_is_compared_with_its_base_and_merged(bench):
    run = made_tuning(bench.data, "tune-1")
    compared = do(bench, "evaluate-8", "evaluate", "tune-1")
    names = {metric["name"]: metric for metric in compared["report"]["metrics"]}
    assert names["loss"]["adapter"]["value"] > 0
    assert "evaluations/evaluate-8/metrics.json" in compared["artifacts"]
    assert verify(run / "evaluations" / "evaluate-8").kind == "comparison"
    assert do(bench, "evaluate-8", "evaluate", "tune-1") == compared
    merged = do(bench, "merge-2", "merge", "tune-1")
    assert (merged["reused"], verify(run / "merged").digest) == (False, merged["digest"])
    assert merged["report"]["chosen"]
    assert do(bench, "merge-3", "merge", "tune-1")["reused"] is True
