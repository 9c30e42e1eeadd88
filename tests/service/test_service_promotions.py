"""Which export of a run is in use: asked for, shown, and what somebody did to the record by hand."""

import json
import os

import pytest

from loquela.evaluation.deployment.promotion import Promotion, Promotions
from loquela.evaluation.deployment.report import Figure, Machine
from loquela.recipe.deploy_section import DeployLoad

RECIPE = {"name": "tiny", "data": {"sources": ["story.txt"]}, "model": {"num_layers": 1}}


@pytest.fixture
def run(owner, story):
    return owner.post("/runs/train", json={"recipe": RECIPE}).json()["run_id"]


@pytest.fixture
def place(parts, run):
    found = parts.run_folder(run) / "checks"
    found.mkdir(parents=True)
    return found / "promoted.json"


def promoted(*names):
    """A record of promotions as `loquela promote` writes it."""
    records = []
    for name in names:
        machine = Machine(processor="p", cores=1, memory_mb=1, system="s", python="3")
        figure = Figure(name="latency_p95_ms", median=2.0, low=1.0, high=3.0)
        record = Promotion(
            bundle=f"exports/{name}", bundle_digest="b" * 64, report=f"/somewhere/{name}", report_digest="r" * 64,
            machine=machine, load=DeployLoad(), rate_per_second=1.0, figures=[figure],
            follows=records[-1].record_digest if records else "",
        )  # fmt: skip
        record.record_digest = record.own_digest()
        records.append(record)
    return Promotions(records=records).model_dump_json()


def test_a_promotion_is_queued_once_for_one_key(owner, parts, run):
    def ask(name, key="k"):
        return owner.post(f"/runs/{run}/promotions", json={"export": name}, headers={"Idempotency-Key": key})

    job = ask("onnx-int8").json()
    assert (job["kind"], job["state"], job["run_id"]) == ("promote", "queued", run)
    assert parts.listing.get(job["job_id"]).spec == {"bundle": "onnx-int8"}
    assert ask("onnx-int8").json() == job
    assert ask("onnx").status_code == 400
    assert [entry.target for entry in parts.audit.page(action="promote.submit")] == [job["job_id"]]


@pytest.mark.parametrize("name", ["../final", "", "a/b", "/etc", "A", "x" * 80, None])
def test_what_is_no_name_of_an_export(owner, run, name):
    assert owner.post(f"/runs/{run}/promotions", json={"export": name}).status_code == 422


def test_the_one_in_use_is_the_last_that_was_promoted(owner, run, place):
    assert owner.get(f"/runs/{run}/promotions").json() == {"run_id": run, "in_use": None, "promotions": []}
    place.write_text(promoted("onnx", "onnx-int8"))
    found = owner.get(f"/runs/{run}/promotions").json()
    assert (found["in_use"], [each["export"] for each in found["promotions"]]) == ("onnx-int8", ["onnx", "onnx-int8"])
    assert found["promotions"][0]["figures"] == [{"name": "latency_p95_ms", "median": 2.0, "low": 1.0, "high": 3.0}]
    assert "/somewhere" not in json.dumps(found)


@pytest.mark.parametrize("kind", ["changed", "not JSON", "a link", "a pipe", "a folder"])
def test_a_record_that_was_edited_by_hand_is_told_as_such(owner, run, place, tmp_path, kind):
    if kind == "a link":
        (tmp_path / "other.json").write_text(promoted("onnx"))
        place.symlink_to(tmp_path / "other.json")
    elif kind == "a pipe":
        os.mkfifo(place)
    elif kind == "a folder":
        place.mkdir()
    else:
        place.write_text(promoted("onnx").replace("b" * 64, "c" * 64) if kind == "changed" else "{")
    answer = owner.get(f"/runs/{run}/promotions")
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "CORRUPTION")
    assert "does not say any more which bundle is in use" in answer.json()["error"]["message"]


def test_each_wants_its_scope(client_of, run):
    body = {"export": "onnx"}
    assert client_of("read").post(f"/runs/{run}/promotions", json=body).status_code == 403
    assert client_of("run").post(f"/runs/{run}/promotions", json=body).status_code == 202
    assert client_of("infer").get(f"/runs/{run}/promotions").status_code == 403
    assert client_of("read").get(f"/runs/{run}/promotions").status_code == 200


def test_an_export_is_asked_for_as_on_the_command_line(owner, parts, run):
    def spec(**asked):
        return parts.listing.get(owner.post(f"/runs/{run}/exports", json=asked).json()["job_id"]).spec

    assert spec() == {"format": "gguf", "quantize": "int8", "prune": 0.0, "fastest": True}
    assert spec(quantize="none") == {"format": "gguf", "quantize": "none", "prune": 0.0, "fastest": True}
    assert spec(format="onnx") == {"format": "onnx", "quantize": "none", "prune": 0.0, "fastest": False}


def test_budgets_of_a_check_go_with_it(owner, parts, run):
    asked = {"export": "onnx", "budgets": {"latency_p95_ms": 900}}
    job = owner.post(f"/runs/{run}/deploy-checks", json=asked).json()["job_id"]
    assert parts.listing.get(job).spec["budgets"]["latency_p95_ms"] == 900
    assert (
        owner.post(f"/runs/{run}/deploy-checks", json={"export": "onnx", "budgets": {"rss_mb": 0}}).status_code == 422
    )
