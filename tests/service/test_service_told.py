"""The service's two log streams: requests, events, text of models; no secret, no place, no text unless wanted."""

import json

import pytest
from fastapi.testclient import TestClient

from loquela.core.errors import DataError, ErrorCode
from loquela.jobs.process_facts import worker_name
from loquela.jobs.settings import ServiceSettings
from loquela.service.app import build_app
from loquela.service.keys import Scope
from loquela.service.parts import make_parts
from loquela.service.told.events import EventLines
from loquela.service.told.interactions import Interactions
from loquela.service.told.streams import ServiceLog


def lines(settings, stream="system"):
    return [json.loads(line) for line in (settings.data / "logs" / f"{stream}.log").read_text().splitlines()]


def requests_of(parts):
    return [line for line in lines(parts.settings) if line["context"].get("event") == "service.request.v1"]


def test_a_line_for_every_request(owner, parts):
    owner.get("/runs/none-such", headers={"X-Request-Id": "r-1"})
    owner.get("/runs?limit=2")
    owner.get("/healthz")
    missing, listed = requests_of(parts)
    assert (missing["level"], missing["message"]) == ("warning", "GET /runs/none-such")
    told = missing["context"]
    assert (told["status"], told["request_id"], told["error_code"]) == (404, "r-1", "RUN_NOT_FOUND")
    assert told["key"] == parts.keys.list()[0].id and told["run_id"] == "none-such" and told["milliseconds"] > 0
    assert (listed["level"], listed["context"]["status"], listed["context"]["error_code"]) == ("info", 200, None)
    assert (listed["service"], listed["instance_id"]) == ("loquela", worker_name())


def test_strangers_and_nonsense_are_told_and_their_keys_are_not(client_of, parts):
    client_of().get("/runs", headers={"Authorization": "Bearer lq_stolen_key_of_somebody"})
    client_of().get("/runs", headers={"Host": "evil.test"})
    text = (parts.settings.data / "logs" / "system.log").read_text()
    assert [line["context"]["status"] for line in requests_of(parts)] == [401, 403]
    assert "stolen" not in text


def test_a_bug_is_told_with_its_traceback_and_answered_without(owner, parts, monkeypatch):
    monkeypatch.setattr(type(parts.listing), "page", lambda *_, **__: 1 / 0)
    response = owner.get("/runs")
    answer = response.json()["error"]
    assert (response.status_code, response.headers["x-content-type-options"]) == (500, "nosniff")
    assert response.headers["x-request-id"] == answer["request_id"]
    (bug,) = [line for line in lines(parts.settings) if line["context"]["event"] == "service.bug.v1"]
    assert bug["level"] == "error" and "ZeroDivisionError" in bug["context"]["traceback"]
    assert bug["context"]["request_id"] == answer["request_id"] and "Zero" not in json.dumps(answer)


def test_events_of_runs_are_told_once_though_the_service_was_away(tmp_path):
    settings = ServiceSettings(data=tmp_path / "data")
    parts = make_parts(settings)
    parts.events.append("trainer.job.failed.v1", run_id="a", data={"code": "OOM", "place": str(settings.data / "x")})
    parts.events.append("data_loader.batch_loaded.v1", run_id="a")
    parts.close()
    again = make_parts(settings)
    again.events.append("job.queued.v1", run_id="b")
    second = EventLines(again.log, again.events)
    again.close()
    second.stop()
    told = [line["context"] for line in lines(settings) if line["context"].get("seq")]
    assert [(line["event"], line["run_id"]) for line in told] == [
        ("trainer.job.failed.v1", "a"),
        ("job.queued.v1", "b"),
    ]
    assert told[0]["error_code"] == "OOM" and told[0]["data"]["place"] == "<data>/x"


@pytest.mark.parametrize("texts", [False, True])
def test_what_models_are_asked_and_answer(tmp_path, texts):
    settings = ServiceSettings(data=tmp_path / "data", log_texts=texts)
    told = Interactions(ServiceLog(settings))
    asked = {"prompt_text": "a secret plan", "max_new_tokens": 3, "top_k": None}
    answer = [{"piece": "x"}, {"result": {"outputs": ["of mice"], "steps": [2]}}]
    assert list(told.told(tmp_path / "run-1", "generate", asked, iter(answer))) == answer

    def broken():
        yield {"piece": "x"}
        raise DataError(ErrorCode.INFERENCE_FAILED, "it broke", "again")

    with pytest.raises(DataError, match="it broke"):
        list(told.told(tmp_path / "run-1", "chat", {}, broken()))
    left = told.told(tmp_path / "run-1", "chat", {}, iter(answer))
    next(left)
    left.close()
    done, failed, gone = lines(settings, "llm_interaction")
    assert (done["event"], failed["event"], gone["event"]) == ("generate.answered.v1", "chat.failed.v1", "chat.left.v1")
    assert done["data"]["run_id"] == "run-1" and failed["data"]["error_code"] == "INFERENCE_FAILED"
    shown = {"prompt_text": "a secret plan" if texts else {"characters": 13}, "max_new_tokens": 3}
    assert done["data"]["asked"] == shown
    assert done["data"]["answered"] == {"outputs": ["of mice"] if texts else {"entries": 1}, "steps": [2]}


def test_on_stderr_as_text_for_containers(tmp_path, capsys):
    settings = ServiceSettings(data=tmp_path / "data", log_stderr=True, log_format="text", log_level="warning")
    parts = make_parts(settings)
    try:
        key, _ = parts.keys.create("t", [Scope.READ])
        asked = TestClient(
            build_app(parts), base_url="http://localhost", headers={"Authorization": f"Bearer {key.text}"}
        )
        asked.get("/runs")
        asked.get("/runs/none", headers={"X-Request-Id": "r-2"})
    finally:
        parts.close()
    (line,) = capsys.readouterr().err.splitlines()
    assert " warning GET /runs/none " in line and 'request_id="r-2"' in line
    assert line == (settings.data / "logs" / "system.log").read_text().strip()
