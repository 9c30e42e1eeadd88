"""What a service made of a fine-tuning, told to channels, or failed at, shown as this machine shows its own."""

import json

import pytest

from loquela import Client
from loquela.artifacts.merge_report import MergeCandidate, MergeReport
from loquela.cli.main import answer
from loquela.client.answers import Job, Run
from loquela.client.failures import failure
from loquela.core.errors import DataError, InternalError, Interrupted, ProofError, RecipeError, ResourceError
from loquela.evaluation.tuned.contracts import ComparisonReport, Estimate, ForgettingReport, MetricReport
from loquela.recipe.finetune_section import MergeOptions

RUN = {"run_id": "tune-1", "state": "succeeded", "created_at": 1.0}
END = "id: 1\nevent: end\ndata: {}\n\n"


def job(kind, result=None, **changes):
    made = {"job_id": f"{kind}-1", "kind": kind, "run_id": "tune-1", "state": "succeeded", "created_at": 1.0}
    return made | {"result": result} | changes


def estimate(value):
    return Estimate(value=value, low=value, high=value)


def comparison():
    metric = MetricReport(
        name="json_validity", better="higher", rows=4, units=4, base=estimate(0.25), adapter=estimate(0.75),
        difference=estimate(0.5), verdict="better",
    )  # fmt: skip
    lost = ForgettingReport(kind="arithmetic", questions=5, base=0.8, adapter=0.6, lost=0.25)
    report = ComparisonReport(
        seed=1, split="test", rows_total=4, rows=4, left_out={}, base="toy", base_digest="b" * 64,
        adapter_digest="a" * 64, method="adapter", base_equals_plain=True, metrics=[metric], forgetting=[lost],
        harness=[], notes=["few rows"],
    )  # fmt: skip
    return report.model_dump(mode="json")


def merge_report():
    candidate = MergeCandidate(
        base="full", number_format=["F32"], tensors=9, changed_tensors=2, size_bytes=100, mean_kl=0.001, max_kl=0.01,
        top1_agreement=1.0, greedy_match=1.0, greedy_tokens_equal=1.0, max_logit_difference=0.01,
    )  # fmt: skip
    report = MergeReport(
        passed=True, chosen="full", reference="the adapter on its base", prompts="held out", prompts_compared=2,
        positions_compared=20, greedy_tokens=8, arithmetic="fp32", candidates=[candidate], limits=MergeOptions(),
        base_source="toy", base_digest="b" * 64, adapter_digest="a" * 64,
    )  # fmt: skip
    return report.model_dump(mode="json")


@pytest.fixture
def at_service(scripted, capsys):
    def call(*arguments):
        code = answer(["--server", scripted.url, *arguments])
        told = capsys.readouterr()
        assert scripted.answers == []
        return code, told.out, told.err

    return call


def will_do(scripted, queued, ended):
    """The answers to a run that is looked up, work that is queued on it, followed, and looked at."""
    scripted.will_say(200, json.dumps({"runs": [RUN]}))
    scripted.will_say(202, json.dumps(queued))
    scripted.will_say(200, END)
    scripted.will_say(200, json.dumps(ended))


def will_compare(scripted):
    queued = {"run_id": "tune-1", "job_id": "evaluate-1", "status": "queued"}
    will_do(scripted, queued, job("evaluate", {"report": comparison()}))


def test_a_comparison_is_shown_and_held_to_limits(scripted, at_service):
    will_compare(scripted)
    code, out, err = at_service("evaluate", "latest")
    assert (code, err) == (0, f"queued as evaluate-1 at {scripted.url}\nnote: few rows\n")
    assert "json validity" in out and "+25.0%" in out
    assert "report: tune-1/evaluations/evaluate-1" in out
    will_compare(scripted)
    assert at_service("evaluate", "latest", "--fail-under", "json_validity=0.7")[0] == 0
    will_compare(scripted)
    code, out, err = at_service("evaluate", "latest", "--fail-under", "json_validity=0.9")
    assert code == 5 and "json_validity" in out and "the adapter misses 1 limit(s)" in err
    will_compare(scripted)
    code, out, _ = at_service("evaluate", "latest", "--fail-under", "json_validity=0.9", "--json")
    assert code == 5 and json.loads(out)["error"]["code"] == "PERFORMANCE_BELOW_THRESHOLD"


def test_limits_of_a_fine_tuning_are_none_of_another_run(scripted, at_service):
    queued = {"run_id": "tune-1", "job_id": "evaluate-1", "status": "queued"}
    will_do(scripted, queued, job("evaluate", {"report": {"validation": {"loss": 2.5}}}))
    code, _, err = at_service("evaluate", "latest", "--split", "train", "--fail-under", "rouge_l=0.5")
    assert code == 2 and "--fail-under is for a fine-tuning, and tune-1 is none" in err
    assert json.loads(scripted.asked[1][3]) == {"split": "train"}


def test_an_export_as_json(scripted, at_service):
    result = {"name": "gguf-int8", "digest": "d" * 64, "bytes": 9, "reused": False, "report": {"failures": []}}
    will_do(scripted, job("export", state="queued"), job("export", result))
    code, out, _ = at_service("export", "latest", "--json")
    assert (code, json.loads(out)) == (0, {"bundle": "tune-1/gguf-int8", "report": {"failures": []}})
    assert json.loads(scripted.asked[1][3]) == {"format": None, "quantize": None, "prune": 0.0}


def test_a_merge_is_shown(scripted, at_service):
    result = {"run_id": "tune-1", "digest": "d" * 64, "reused": True, "report": merge_report()}
    will_do(scripted, job("merge", state="queued"), job("merge", result))
    code, out, _ = at_service("merge-adapter", "tune")
    assert code == 0 and "tune-1/merged at http://" in out and "was there before, whole" in out
    will_do(scripted, job("merge", state="queued"), job("merge", result))
    shown = json.loads(at_service("merge-adapter", "tune", "--json")[1])
    assert (shown["merged"], shown["reused"], shown["report"]["chosen"]) == ("tune-1/merged", True, "full")


def test_a_report_of_another_version_is_said_to_be_one(scripted, at_service):
    will_do(scripted, job("merge", state="queued"), job("merge", {"report": {"format_version": 99}}))
    code, _, err = at_service("merge-adapter", "latest")
    assert code == 3 and "is not one that this version can read" in err


def delivery(name, state, error=None):
    told = {"action": "test", "rule": "test", "severity": "info", "subject": "service", "title": "a", "text": "b"}
    return {"id": name, "channel": name, "state": state, "error": error, "created_at": 1.0,
            "notification": told | {"at": 1.0}}  # fmt: skip


def test_channels_of_a_service_are_tried_and_what_became_of_it_is_said(scripted, at_service):
    def tried(*ends):
        scripted.will_say(202, json.dumps({"deliveries": ["mail", "team"]}))
        for each in ends:
            scripted.will_say(200, json.dumps({"deliveries": each}))

    waiting = [delivery("team", "waiting"), delivery("mail", "sent"), delivery("other", "failed")]
    tried(waiting, [delivery("team", "sent"), delivery("mail", "sent")])
    code, out, _ = at_service("alerts", "test")
    assert code == 0 and sorted(out.splitlines()) == ["✔ mail", "✔ team"]
    tried([delivery("team", "failed", "no such host"), delivery("mail", "sent")])
    code, out, _ = at_service("alerts", "test", "--json")
    assert code == 4 and [each["state"] for each in json.loads(out)["channels"]] == ["failed", "sent"]
    scripted.will_say(200, json.dumps({"deliveries": [delivery("team", "failed", "no such host")]}))
    code, out, _ = at_service("alerts", "list")
    assert code == 0 and "failed: no such host" in out
    firing = {"subject": "tune-1", "rule": "nan", "severity": "critical", "title": "The loss is no number", "since": 1}
    scripted.will_say(200, json.dumps({"alerts": [firing], "channels": ["team"]}))
    assert "The loss is no number" in at_service("alerts", "firing")[1]
    refused = {"message": "alerts.toml cannot be read", "remedy": "mend the TOML file", "at": 1.0}
    scripted.will_say(200, json.dumps({"alerts": [], "channels": ["team"], "refused": refused}))
    out = at_service("alerts", "firing")[1]
    assert "its file of alerts is refused: alerts.toml cannot be read" in out and "mend the TOML file" in out


def test_the_log_of_a_run_is_followed_behind_its_last_whole_line(scripted, monkeypatch):
    monkeypatch.setattr("loquela.client.patience.FIRST_PAUSE_SECONDS", 0.01)
    scripted.will_say(200, "id: 4\nevent: log\ndata: one\n\nid: 9\nevent: log\ndata: tw")
    scripted.will_say(200, "id: 8\nevent: log\ndata: two\n\n" + END)
    with Client(scripted.url, "k") as client:
        assert list(client.follow_log("a")) == ["one", "two"]
    assert [headers["Last-Event-ID"] for _, _, headers, _ in scripted.asked] == ["0", "4"]


@pytest.mark.parametrize(
    ("reason", "kind"),
    [
        ("recipe_error", RecipeError),
        ("data_error", DataError),
        ("proof_failed", ProofError),
        ("nan_loss", ProofError),
        ("oom", ResourceError),
        ("crash_loop", ResourceError),
        ("internal", InternalError),
        ("something_new", ResourceError),
    ],
)
def test_a_job_fails_as_its_work_would_here(reason, kind):
    said = {"code": "VALIDATION_FAILED", "message": "no", "remedy": "do so"}
    found = failure(Job.model_validate(job("verify", state="failed", reason=reason, error=said)))
    assert type(found) is kind and (found.message, found.remedy) == ("no", "do so")


def test_what_did_not_fail_is_no_failure():
    assert failure(Run.model_validate(RUN)) is None
    assert isinstance(failure(Run.model_validate(RUN | {"state": "paused"})), Interrupted)
    unsaid = failure(Run.model_validate(RUN | {"state": "failed", "reason": "internal", "message": "it broke"}))
    assert unsaid is not None and unsaid.message == "tune-1 failed: it broke"
