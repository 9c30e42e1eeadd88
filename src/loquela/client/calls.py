"""Every request of the service as a value; the two clients only differ in how they send one."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, Literal, TypeVar
from urllib.parse import quote

from pydantic import JsonValue, TypeAdapter

from loquela.client import answers, operations
from loquela.client.failures import made
from loquela.client.server_events import ServerEvent

T = TypeVar("T")
Words = tuple[tuple[str, str], ...]
Json = Mapping[str, JsonValue]
PIECE: TypeAdapter[str] = TypeAdapter(str)


@dataclass(frozen=True)
class Call(Generic[T]):
    """One request and how its answer is read. `repeatable`: sent twice it does what it does once."""

    method: str
    path: str
    read: Callable[[bytes], T]
    query: Words = ()
    body: dict[str, JsonValue] | None = None
    headers: dict[str, str] = field(default_factory=dict)
    repeatable: bool = True


def me() -> Call[answers.ApiKey]:
    return Call("GET", "/me", answers.ApiKey.model_validate_json)


def train(
    recipe: str | Json,
    until: str | None = None,
    priority: int = 0,
    labels: Mapping[str, str] | None = None,
    idempotency_key: str | None = None,
) -> Call[answers.Run]:
    body: dict[str, JsonValue] = {**_recipe(recipe, until), "priority": priority, "labels": dict(labels or {})}
    return Call("POST", "/runs/train", answers.Run.model_validate_json, body=body, headers=_once(idempotency_key))


def plan(recipe: str | Json, until: str | None = None) -> Call[answers.Plan]:
    return Call("POST", "/runs/plan", answers.Plan.model_validate_json, body=_recipe(recipe, until))


def validate(recipe: str | Json, until: str | None = None) -> Call[answers.Validation]:
    return Call("POST", "/runs/validate", answers.Validation.model_validate_json, body=_recipe(recipe, until))


def runs(before: int | None = None, limit: int = 50, states: Sequence[str] = ()) -> Call[answers.RunPage]:
    query = [("limit", str(limit)), *(("state", state) for state in states)]
    if before is not None:
        query.append(("before", str(before)))
    return Call("GET", "/runs", answers.RunPage.model_validate_json, tuple(query))


def run(run_id: str) -> Call[answers.Run]:
    return Call("GET", _of(run_id), answers.Run.model_validate_json)


def change(run_id: str, verb: str) -> Call[answers.Run]:
    """`verb` is cancel, pause or resume; each is idempotent."""
    return Call("POST", _of(run_id, verb), answers.Run.model_validate_json)


def compare(run_id: str, other_id: str) -> Call[answers.RunComparison]:
    return Call("GET", _of(run_id, "diff", quote(other_id, safe="")), answers.RunComparison.model_validate_json)


def events(
    after: int | Literal["latest"] = 0, run_id: str | None = None, limit: int = 100, job_id: str | None = None
) -> Call[answers.EventPage]:
    path = _events_of(run_id, job_id)
    return Call("GET", path, answers.EventPage.model_validate_json, (("after", str(after)), ("limit", str(limit))))


def logs(run_id: str, lines: int = 200) -> Call[answers.LogLines]:
    return Call("GET", _of(run_id, "logs"), answers.LogLines.model_validate_json, (("lines", str(lines)),))


def metric_names(run_id: str) -> Call[answers.MetricNames]:
    return Call("GET", _of(run_id, "metrics/names"), answers.MetricNames.model_validate_json)


def metrics(run_id: str, names: Sequence[str], most: int = 1000) -> Call[list[answers.Series]]:
    query = (*(("name", name) for name in names), ("most", str(most)))
    return Call("GET", _of(run_id, "metrics"), TypeAdapter(list[answers.Series]).validate_json, query)


def generate(run_id: str, request: Json, idempotency_key: str | None = None) -> Call[answers.Generated]:
    read = answers.Generated.model_validate_json
    return Call("POST", _of(run_id, "generate"), read, body=dict(request), headers=_once(idempotency_key))


def generated(run_id: str, request_id: str) -> Call[answers.Generated]:
    return Call("GET", _of(run_id, "generate", request_id), answers.Generated.model_validate_json)


def score(run_id: str, request: Json, idempotency_key: str | None = None) -> Call[answers.Scored]:
    read = answers.Scored.model_validate_json
    return Call("POST", _of(run_id, "score"), read, body=dict(request), headers=_once(idempotency_key))


def scored(run_id: str, request_id: str) -> Call[answers.Scored]:
    return Call("GET", _of(run_id, "score", request_id), answers.Scored.model_validate_json)


def chat(run_id: str, request: Json) -> Call[answers.ChatTurn]:
    return Call("POST", _of(run_id, "chat"), answers.ChatTurn.model_validate_json, body=dict(request))


def jobs(
    before: int | None = None,
    limit: int = 50,
    kind: str | None = None,
    states: Sequence[str] = (),
    run_id: str | None = None,
) -> Call[answers.JobPage]:
    asked = (("kind", kind), *(("state", state) for state in states), ("run_id", run_id))
    return Call("GET", "/jobs", answers.JobPage.model_validate_json, _page(before, limit, *asked))


def job(job_id: str) -> Call[answers.Job]:
    return Call("GET", _of_job(job_id), answers.Job.model_validate_json)


def change_job(job_id: str, verb: str) -> Call[answers.Job]:
    """`verb` is cancel or resume."""
    return Call("POST", _of_job(job_id, verb), answers.Job.model_validate_json)


def evaluate(run_id: str, request: Json, idempotency_key: str | None = None) -> Call[answers.Evaluation]:
    read = answers.Evaluation.model_validate_json
    return Call("POST", _of(run_id, "evaluate"), read, body=dict(request), headers=_once(idempotency_key))


def evaluation(run_id: str, job_id: str | None = None) -> Call[answers.Evaluation]:
    path = _of(run_id, "eval") if job_id is None else _of(run_id, "eval", quote(job_id, safe=""))
    return Call("GET", path, answers.Evaluation.model_validate_json)


def work_on(run_id: str, verb: str, request: Json, idempotency_key: str | None = None) -> Call[answers.Job]:
    """`verb` is exports, deploy-checks, promotions, merge or verify."""
    body, read = dict(request) or None, answers.Job.model_validate_json
    return Call("POST", _of(run_id, verb), read, body=body, headers=_once(idempotency_key))


def exports(run_id: str) -> Call[answers.ExportList]:
    return Call("GET", _of(run_id, "exports"), answers.ExportList.model_validate_json)


def deploy_checks(run_id: str, before: int | None = None, limit: int = 50) -> Call[answers.JobPage]:
    return Call("GET", _of(run_id, "deploy-checks"), answers.JobPage.model_validate_json, _page(before, limit))


def promotions(run_id: str) -> Call[answers.Promotions]:
    return Call("GET", _of(run_id, "promotions"), answers.Promotions.model_validate_json)


def train_tokenizer(request: Json, idempotency_key: str | None = None) -> Call[answers.Tokenizer]:
    read = answers.Tokenizer.model_validate_json
    return Call("POST", "/tokenizers/train", read, body=dict(request), headers=_once(idempotency_key))


def tokenizer(tokenizer_id: str) -> Call[answers.Tokenizer]:
    return Call("GET", f"/tokenizers/{quote(tokenizer_id, safe='')}", answers.Tokenizer.model_validate_json)


def tokenizers(before: int | None = None, limit: int = 50) -> Call[answers.TokenizerPage]:
    return Call("GET", "/tokenizers", answers.TokenizerPage.model_validate_json, _page(before, limit))


def artifacts(run_id: str) -> Call[answers.RunArtifacts]:
    return Call("GET", _of(run_id, "artifacts"), answers.RunArtifacts.model_validate_json)


def stored(before: int | None = None, limit: int = 50, kind: str | None = None) -> Call[answers.ArtifactPage]:
    return Call("GET", "/artifacts", answers.ArtifactPage.model_validate_json, _page(before, limit, ("kind", kind)))


def artifact_path(kind: str, artifact_id: str) -> str:
    """Where a tarball is downloaded."""
    return f"/artifacts/{quote(kind, safe='')}/{quote(artifact_id, safe='')}"


def alerts() -> Call[operations.Alerts]:
    return Call("GET", "/alerts", operations.Alerts.model_validate_json)


def deliveries(before: int | None = None, limit: int = 50, subject: str | None = None) -> Call[operations.DeliveryPage]:
    query = _page(before, limit, ("subject", subject))
    return Call("GET", "/alerts/deliveries", operations.DeliveryPage.model_validate_json, query)


def try_alerts(channel: str | None = None) -> Call[operations.AlertsTried]:
    read = operations.AlertsTried.model_validate_json
    return Call("POST", "/alerts/test", read, body={"channel": channel}, repeatable=False)


def audit(after: int = 0, limit: int = 100, action: str | None = None) -> Call[operations.AuditPage]:
    query = (("after", str(after)), *_page(None, limit, ("action", action)))
    return Call("GET", "/audit", operations.AuditPage.model_validate_json, query)


def chat_piece(event: ServerEvent, turns: list[answers.ChatTurn]) -> list[str]:
    """The piece of text in an event of a chat; its whole turn goes into `turns`, and an error is raised."""
    if event.name == "result":
        turns.append(answers.ChatTurn.model_validate_json(event.data))
    elif event.name == "error":
        raise made(answers.Problem.model_validate_json(event.data), 422)
    elif event.name == "piece":
        return [PIECE.validate_json(event.data)]
    return []


def stream_path(run_id: str | None, job_id: str | None = None) -> str:
    """Where the events of a run, of a job, or of all runs, are streamed."""
    return f"{_events_of(run_id, job_id)}/stream"


def logs_stream_path(run_id: str) -> str:
    """Where the log of a run is streamed as it is written."""
    return _of(run_id, "logs/stream")


def chat_stream_path(run_id: str) -> str:
    """Where a turn is streamed as it is written."""
    return _of(run_id, "chat/stream")


def _of(run_id: str, *more: str) -> str:
    # An id is one part of a path, whatever is in it.
    return "/".join(["/runs", quote(run_id, safe=""), *more])


def _of_job(job_id: str, *more: str) -> str:
    return "/".join(["/jobs", quote(job_id, safe=""), *more])


def _events_of(run_id: str | None, job_id: str | None) -> str:
    if job_id is not None:
        return _of_job(job_id, "events")
    return "/events" if run_id is None else _of(run_id, "events")


def _page(before: int | None, limit: int, *more: tuple[str, str | None]) -> Words:
    asked = (("limit", str(limit)), ("before", None if before is None else str(before)), *more)
    return tuple((name, value) for name, value in asked if value is not None)


def _recipe(recipe: str | Json, until: str | None) -> dict[str, JsonValue]:
    return {"recipe": recipe if isinstance(recipe, str) else dict(recipe), "until": until}


def _once(idempotency_key: str | None) -> dict[str, str]:
    return {"Idempotency-Key": idempotency_key or uuid.uuid4().hex}
