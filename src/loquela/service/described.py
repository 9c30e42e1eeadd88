"""GET /openapi.json: what the routes say of themselves, with examples from a real run, words for every parameter, and
the ways to show a key.

The examples lie in answers.json beside this; `tests/record_answers.py` asks a service of its own for them.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path

from fastapi import FastAPI
from pydantic import JsonValue, TypeAdapter

from loquela.core.model import BoundaryModel

ANSWERS = Path(__file__).parent / "answers.json"
# Asked by whoever cannot have a key, or not yet.
WITHOUT_KEY = ("/healthz", "/readyz", "/login")
SCHEMES: dict[str, JsonValue] = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "a key of `loquela keys create`"},
    "header": {"type": "apiKey", "in": "header", "name": "X-Api-Key", "description": "the same key"},
}
# Parameter → what it is, where its route does not say.
PARAMETERS: dict[str, str] = {
    "run_id": "id of a run, as POST /runs/train answered it",
    "other_id": "id of another run",
    "job_id": "id of a job, as asking for it answered",
    "request_id": "id of the request, as POST answered it",
    "tokenizer_id": "id of a tokenizer, as POST /tokenizers/train answered it",
    "artifact_id": "the run's id; of an export <run>.<export>",
    "file_id": "id of a file, as POST /v1/files answered it",
    "name": "what it is called; of metrics several times",
    "kind": "of this kind",
    "state": "only in this state; several times",
    "action": "only of this action, such as key.create",
    "purpose": "only with this purpose",
    "subject": "of one subject: a run's id, a job's, or service",
    "token": "of the link that `loquela serve` prints",
    "before": "older than the page that named this number",
    "after": "behind this one: the id of the last one that was seen",
    "limit": "at most so many",
    "lines": "at most so many of the newest",
    "most": "about so many points, at most",
    "first_step": "from this step on",
    "last_step": "up to this step; null: to the end",
    "idempotency-key": "the same key with the same request is the same job",
    "last-event-id": "go on behind the event with this number",
    "if-range": "the ETag of the tarball that a part is wanted of",
    "if-none-match": "the ETag of the tarball that is there already",
}
# Parameter without which nothing can be asked → one that there was.
EXAMPLES: dict[str, str] = {
    "run_id": "tiny-20261122-174501-3f1c2a",
    "other_id": "tiny-20261122-181204-9b70de",
    "job_id": "evaluate-0d5a3c52f0a64d1f8f6f3a7c0c9a1b2e",
    "request_id": "generate-64f6d76f5b6d4d94af50082e7872b7ea",
    "tokenizer_id": "tiny-20261122-174501-3f1c2a",
    "artifact_id": "tiny-20261122-174501-3f1c2a",
    "file_id": "file-c9179f434e95cc4b8d3fef55",
    "name": "loss",
    "kind": "model",
    "token": "nB3y1hVt0mJ8qk2X",
}
STREAM, BYTES = "text/event-stream", "application/octet-stream"
BINARY: JsonValue = {"type": "string", "format": "binary"}
Json = dict[str, JsonValue]


class RecordedAnswers(BoundaryModel):
    """What a real service answered: method and path → status → body; errors by their status, and what each is of."""

    answers: dict[str, dict[str, JsonValue]]
    errors: dict[str, JsonValue]


@cache
def recorded() -> RecordedAnswers:
    """The answers that were recorded."""
    return RecordedAnswers.model_validate_json(ANSWERS.read_bytes())


class DescribedApp(FastAPI):
    """An application whose description is complete."""

    def openapi(self) -> Json:
        """The description, made once."""
        if self.openapi_schema is None:
            document = TypeAdapter(Json).validate_python(super().openapi())
            _complete(document)
            self.openapi_schema = document
        return self.openapi_schema


def _complete(document: Json) -> None:
    _object(document, "components")["securitySchemes"] = SCHEMES
    document["security"] = [{name: []} for name in SCHEMES]
    for method, path, operation in operations(document):
        if path in WITHOUT_KEY:
            operation["security"] = []
        for parameter in _parameters(operation):
            _explain(parameter)
        _add_examples(method, path, operation)


def operations(document: Json) -> Iterator[tuple[str, str, Json]]:
    """(method, path, operation) of everything that can be asked."""
    for path in _object(document, "paths"):
        of_path = _object(_object(document, "paths"), path)
        for method in of_path:
            yield method.upper(), path, _object(of_path, method)


def _add_examples(method: str, path: str, operation: Json) -> None:
    answers = recorded().answers.get(f"{method} {path}", {})
    responses = _object(operation, "responses")
    for status in responses:
        response = _object(responses, status)
        if status == "default":
            _object(_object(response, "content"), "application/json")["examples"] = _errors(method, path, operation)
            response["description"] = "It was refused, or went wrong."
            continue
        if status == "200" and path.endswith("/stream"):
            response["content"] = {STREAM: {"schema": {"type": "string"}}}
        if status == "200" and path.endswith("/content"):
            response["content"] = {BYTES: {"schema": BINARY}}
        content = _object(response, "content") if "content" in response else {}
        for kind in content:
            media = _object(content, kind)
            media.setdefault("schema", BINARY)
            if status in answers:
                media["example"] = answers[status]


def _errors(method: str, path: str, operation: Json) -> Json:
    """Of the errors that were recorded those that this operation can meet."""
    asks_for_key, names_something = path not in WITHOUT_KEY, "{" in path
    meets = {
        "401": asks_for_key,
        "403": True,
        "404": names_something,
        "409": method == "POST" and names_something,
        "422": "requestBody" in operation or bool(_parameters(operation)),
        "429": asks_for_key,
    }
    return {status: {"value": error} for status, error in recorded().errors.items() if meets[status]}


def _explain(parameter: Json) -> None:
    name = str(parameter.get("name"))
    if name in PARAMETERS:
        parameter.setdefault("description", PARAMETERS[name])
    if parameter.get("required") and name in EXAMPLES:
        several = _object(parameter, "schema").get("type") == "array"
        parameter["example"] = [EXAMPLES[name]] if several else EXAMPLES[name]


def _parameters(operation: Json) -> list[Json]:
    found = operation.get("parameters")
    return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []


def _object(parent: Json, name: str) -> Json:
    """The object under a name of the document, made where there is none."""
    found = parent.setdefault(name, {})
    if not isinstance(found, dict):
        raise TypeError(name)
    return found
