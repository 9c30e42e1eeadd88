"""GET /openapi.json: every body, answer and parameter has an example from a real service, and every example fits."""

import socket
import tempfile
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from loquela.service.described import WITHOUT_KEY, operations, recorded

METHODS = ("post", "put", "patch", "delete")


def bodies(document):
    """(method, path, content type, its media object) of everything that takes a body."""
    for path, of_path in document["paths"].items():
        for method in METHODS:
            for kind, media in of_path.get(method, {}).get("requestBody", {}).get("content", {}).items():
                yield method, path, kind, media


def schema_of(document, media):
    """The schema of a body, with what it refers to."""
    schema = media.get("schema", {})
    name = schema.get("$ref", "").removeprefix("#/components/schemas/")
    found = document["components"]["schemas"][name] if name else schema
    return {**found, "components": document["components"]}


def examples(document, media):
    named = [media["example"]] if "example" in media else [each["value"] for each in media.get("examples", {}).values()]
    return named or media.get("schema", {}).get("examples") or schema_of(document, media).get("examples", [])


@pytest.fixture
def document(app):
    return app.openapi()


def test_every_body_has_examples_that_fit_its_schema(document):
    found = list(bodies(document))
    assert len(found) >= 14
    for method, path, _, media in found:
        shown = examples(document, media)
        assert shown, f"{method} {path} has no example"
        for example in shown:
            problems = list(Draft202012Validator(schema_of(document, media)).iter_errors(example))
            assert problems == [], (path, problems)


def test_every_example_is_taken(document, owner, parts):
    """None is refused for what it holds; what it names need not be there."""
    (parts.settings.corpus / "held-out.txt").write_text("The fox walked to the house.\n" * 100)
    run = owner.post("/runs/train", json={"recipe": {"data": {"sources": ["held-out.txt"]}}}).json()["run_id"]
    for _, path, kind, media in bodies(document):
        for example in examples(document, media):
            if kind == "application/json":
                answer = owner.post(path.format(run_id=run), json=example)
                absent = any(said in answer.text for said in ("no such", "there is no"))
                assert absent or answer.status_code not in (400, 405, 422, 500), (path, answer.text)


def fits(document, schema, value):
    return list(Draft202012Validator({**schema, "components": document["components"]}).iter_errors(value))


def test_every_operation_says_what_it_does_and_shows_what_it_answers(document):
    for method, path, operation in operations(document):
        place = f"{method} {path}"
        assert operation.get("summary") and operation.get("description"), place
        answered = [status for status in operation["responses"] if status.startswith("2")]
        assert answered, place
        for status in answered:
            content = operation["responses"][status].get("content", {})
            assert content, f"{place} does not say what it answers with"
            for media in content.values():
                if media["schema"].get("format") == "binary":
                    continue
                assert "example" in media, f"{place} shows no answer: add it to tests/record_answers.py, and run that"
                assert fits(document, media["schema"], media["example"]) == [], place


def test_every_operation_shows_how_it_refuses(document):
    for method, path, operation in operations(document):
        media = operation["responses"]["default"]["content"]["application/json"]
        shown = media["examples"]
        assert ("401" in shown) == (path not in WITHOUT_KEY), (method, path)
        assert ("404" in shown) == ("{" in path), (method, path)
        for each in shown.values():
            assert fits(document, media["schema"], each["value"]) == [], (method, path)
            assert all(each["value"]["error"][name] for name in ("code", "message", "remedy", "request_id"))
    assert {*recorded().errors} == {"401", "403", "404", "409", "422", "429"}


def test_every_parameter_is_explained_and_those_that_must_be_given_are_shown(document):
    for _, path, operation in operations(document):
        for parameter in operation.get("parameters", []):
            place = f"{parameter['name']} of {path}"
            assert parameter.get("description"), place
            if parameter.get("required"):
                assert fits(document, parameter["schema"], parameter["example"]) == [], place


def test_who_may_ask_and_how_is_said(document):
    assert {scheme["type"] for scheme in document["components"]["securitySchemes"].values()} == {"http", "apiKey"}
    assert document["security"] == [{name: []} for name in document["components"]["securitySchemes"]]
    free = [path for _, path, operation in operations(document) if operation.get("security") == []]
    assert sorted(free) == sorted(WITHOUT_KEY)


def test_nothing_was_recorded_that_is_not_there_and_nothing_of_a_machine(document):
    there = {f"{method} {path}" for method, path, _ in operations(document)}
    assert recorded().answers.keys() <= there
    text = recorded().model_dump_json()
    assert str(Path.home()) not in text and tempfile.gettempdir() not in text and socket.gethostname() not in text


def test_it_is_made_once(app):
    assert app.openapi() is app.openapi()
