"""GET /openapi.json: every body that can be sent has an example, and every example fits and is taken."""

import pytest
from jsonschema import Draft202012Validator

METHODS = ("post", "put", "patch", "delete")


def bodies(document):
    """(method, path, content type, its media object) of everything that takes a body."""
    for path, operations in document["paths"].items():
        for method in METHODS:
            for kind, media in operations.get(method, {}).get("requestBody", {}).get("content", {}).items():
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


def test_every_operation_says_what_it_does_and_what_it_answers(document):
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            place = f"{method} {path}"
            assert operation.get("description"), place
            assert "default" in operation["responses"], place
            assert any(status.startswith("2") for status in operation["responses"]), place
