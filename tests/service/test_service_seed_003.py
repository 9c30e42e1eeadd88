"""Seed 003, sections 6.1, 14, 26, 30, 30.1, 31 and 33, line by line: each route and field is there, or says why not."""

import json
import re

import pytest

from loquela.evaluation.contracts import EvaluationReport
from loquela.jobs.settings import ServiceSettings
from loquela.service.app import build_app
from loquela.service.evaluations import EvaluationView
from loquela.service.parts import make_parts

# Section 14 and the API lists of 26, 30 and 30.1, with the scope-free ones last.
ROUTES = [
    "POST /tokenizers/train",
    "GET /tokenizers/:id",
    "POST /runs/train",
    "GET /runs/:id",
    "GET /runs/:id/logs",
    "GET /runs/:id/logs/stream",
    "GET /artifacts/:kind/:id",
    "GET /healthz",
    "GET /readyz",
    "POST /runs/:id/evaluate",
    "GET /runs/:id/eval",
    "POST /runs/:id/generate",
    "GET /runs/:id/generate/:request_id",
    "POST /runs/:id/score",
    "GET /runs/:id/score/:request_id",
    "POST /runs/:id/cancel",
]

# What is sent to a route, and what it answers, in the seed's words.
ASKED = {
    "POST /tokenizers/train": [
        "method", "vocab_size", "min_frequency", "special_tokens", "normalization",
        "corpus", "holdout_fraction", "seed", "threads",
    ],
    "POST /runs/:id/evaluate": ["split", "path_override"],
    "POST /runs/:id/generate": [
        "prompt_text", "prompt_path", "max_new_tokens", "temperature", "top_k", "top_p", "stop_on_eos",
        "stop_sequences", "seed", "num_return_sequences",
    ],
    "POST /runs/:id/score": ["text", "path", "detail_level", "top_k", "seed"],
}  # fmt: skip
ANSWERED = {
    "GET /tokenizers/:id": ["coverage", "oov_rate", "token_count", "char_coverage"],
    "GET /runs/:id": ["run_id", "status", "metrics", "message", "last_heartbeat"],
    "GET /runs/:id/eval": ["run_id", "split", "status", "loss", "perplexity", "artifact_pointers"],
    "POST /runs/:id/generate": ["request_id", "status"],
    "GET /runs/:id/generate/:request_id": ["request_id", "status", "outputs", "steps", "eos_terminated"],
    "POST /runs/:id/score": ["request_id", "status"],
    "GET /runs/:id/score/:request_id": [
        "request_id", "status", "loss", "perplexity", "surprisal", "topk", "tokens",
    ],
}  # fmt: skip

# The seed's word → ours, and why.
OTHERWISE = {
    ("POST /tokenizers/train", "normalization"): ("data", "normalization is of the text: data.normalization"),
    ("GET /runs/:id", "status"): ("state", "one word for a job's state everywhere; runs:status:<id> in Redis holds it"),
    ("GET /runs/:id", "metrics"): ("progress", "the newest numbers; all of them at GET /runs/{run_id}/metrics"),
    ("GET /runs/:id/eval", "artifact_pointers"): ("artifacts", "names below the run's folder"),
}
# Not there, and why.
LEFT_OUT = {
    (
        "POST /tokenizers/train",
        "special_tokens",
    ): "pad, unk, bos and eos are the same four in every tokenizer made here",
}
# In the schema, because the command line has them too, and refused over HTTP: a request names no file of the server.
REFUSED = {"POST /runs/:id/generate": ("prompt_path", {}), "POST /runs/:id/score": ("path", {})}


def plain(route):
    """A route with every parameter called the same."""
    return re.sub(r"[:{]\w+}?", "*", route)


@pytest.fixture(scope="module")
def document(tmp_path_factory):
    parts = make_parts(ServiceSettings(data=tmp_path_factory.mktemp("described")))
    yield build_app(parts).openapi()
    parts.close()


def operation(document, route):
    """The route's own operation, where the seed's `:id` may have another name."""
    for path, operations in document["paths"].items():
        for method, found in operations.items():
            if plain(f"{method.upper()} {path}") == plain(route):
                return found
    raise AssertionError(f"there is no {route}")


def properties(document, schema):
    name = schema["$ref"].removeprefix("#/components/schemas/")
    return set(document["components"]["schemas"][name]["properties"])


@pytest.mark.parametrize("route", ROUTES)
def test_every_route_is_there(document, route):
    assert operation(document, route)


def there(route, field, found):
    if (route, field) in LEFT_OUT:
        assert field not in found, f"{route} {field} is there now: take it from the list"
        return
    name, _ = OTHERWISE.get((route, field), (field, ""))
    assert name in found, (route, field)


@pytest.mark.parametrize("route", ASKED)
def test_every_field_that_is_sent_is_there_or_says_why_not(document, route):
    body = operation(document, route)["requestBody"]["content"]["application/json"]["schema"]
    for field in ASKED[route]:
        there(route, field, properties(document, body))


@pytest.mark.parametrize("route", ANSWERED)
def test_every_field_that_is_answered_is_there_or_says_why_not(document, route):
    responses = operation(document, route)["responses"]
    answer = next(responses[status] for status in responses if status.startswith("2"))
    for field in ANSWERED[route]:
        there(route, field, properties(document, answer["content"]["application/json"]["schema"]))


def test_the_lists_of_reasons_name_nothing_else():
    known = {(route, field) for table in (ASKED, ANSWERED) for route, fields in table.items() for field in fields}
    assert set(OTHERWISE) | set(LEFT_OUT) <= known
    assert not set(OTHERWISE) & set(LEFT_OUT)


LIMITS = [
    ("generate", {"max_new_tokens": 0}), ("generate", {"max_new_tokens": 513}), ("generate", {"temperature": -1}),
    ("generate", {"num_return_sequences": 0}), ("generate", {"num_return_sequences": 11}), ("generate", {"top_p": 0}),
    ("generate", {"prompt_text": "a", "prompt_path": "b"}), ("score", {"text": "a", "path": "b"}), ("score", {}),
    ("score", {"text": "a", "detail_level": "per_word"}), ("generate", {"nothing": 1}),
]  # fmt: skip


@pytest.fixture
def run(owner, story):
    return owner.post("/runs/train", json={"recipe": {"data": {"sources": ["story.txt"]}}}).json()["run_id"]


@pytest.mark.parametrize(("verb", "body"), LIMITS)
def test_the_limits_of_section_30_1_hold(owner, run, verb, body):
    assert owner.post(f"/runs/{run}/{verb}", json=body).status_code == 422


@pytest.mark.parametrize("route", REFUSED)
def test_a_file_of_the_server_is_no_prompt(owner, run, route):
    field, more = REFUSED[route]
    answer = owner.post(route.split()[1].replace(":id", run), json={field: "/etc/passwd", **more})
    assert answer.status_code == 400
    assert field in answer.json()["error"]["message"]


def test_an_evaluation_measures_what_section_30_lists():
    report = EvaluationReport.model_json_schema()["$defs"]
    assert {"loss", "perplexity"} <= set(report["LossReport"]["properties"])
    tokenization = set(report["TokenizationReport"]["properties"])
    assert {"tokens_per_character", "tokens_per_word", "lengths"} <= tokenization
    assert {"distinct_1", "distinct_2", "repeated_4grams"} <= set(report["TextQuality"]["properties"])
    assert {"seed", "validation"} <= set(EvaluationReport.model_fields)
    assert {"seed", "loss", "perplexity", "report"} <= set(EvaluationView.model_fields)


def test_requests_are_correlated_and_errors_have_the_fields_of_section_31(owner, client_of):
    answer = owner.get("/runs/nothing", headers={"X-Request-ID": "my-id-1"})
    assert answer.headers["x-request-id"] == "my-id-1"
    error = answer.json()["error"]
    assert (error["code"], error["request_id"]) == ("RUN_NOT_FOUND", "my-id-1")
    assert error["message"]
    assert len(owner.get("/healthz").headers["x-request-id"]) >= 16
    for headers in ({}, {"X-Api-Key": "wrong"}):
        refused = client_of().get("/runs", headers=headers)
        assert (refused.status_code, refused.json()["error"]["code"]) == (401, "UNAUTHORIZED")
    key = owner.headers["authorization"].removeprefix("Bearer ")
    assert client_of().get("/runs", headers={"X-Api-Key": key}).status_code == 200


def test_every_end_of_a_run_is_told_in_a_sentence(owner, run):
    stopped = owner.post(f"/runs/{run}/cancel").json()
    assert stopped["message"] == "Somebody asked for it."
    assert owner.get(f"/runs/{run}").json()["message"] == stopped["message"]


def test_logs_are_tailed(owner, parts, run):
    logs = parts.run_folder(run) / "logs"
    logs.mkdir(parents=True)
    (logs / "system.log").write_text("".join(json.dumps({"n": number}) + "\n" for number in range(9)))
    assert owner.get(f"/runs/{run}/logs", params={"lines": 2}).json()["lines"] == ['{"n": 7}', '{"n": 8}']
