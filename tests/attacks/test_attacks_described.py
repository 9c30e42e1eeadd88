"""Requests made up from the service's own description: none breaks it, and every answer is as described."""

from __future__ import annotations

import pytest
import schemathesis
from fastapi.routing import APIRoute
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis.checks import CHECKS
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from loquela.jobs.settings import ServiceSettings
from loquela.service.app import OPENAI_ROUTERS, ROUTERS, build_app
from loquela.service.keys import Scope
from loquela.service.parts import make_parts

# What these answer with has no end, or is tested over a real connection.
ENDLESS = {"/events/stream", "/runs/{run_id}/events/stream", "/runs/{run_id}/logs/stream", "/login", "/logout"}
AS_DESCRIBED = [
    CHECKS.get_one("not_a_server_error"), status_code_conformance, content_type_conformance,
    response_schema_conformance,
]  # fmt: skip
OPERATIONS = [
    (method, route.path)
    for router in (*ROUTERS, *OPENAI_ROUTERS)
    for route in router.routes
    if isinstance(route, APIRoute) and route.include_in_schema and route.path not in ENDLESS
    for method in sorted(route.methods)
]


@pytest.fixture(scope="module")
def described(tmp_path_factory: pytest.TempPathFactory):
    """The description, the key to ask with, and a run that is there."""
    free = {"reads_per_minute": 0, "writes_per_minute": 0, "inferences_per_minute": 0, "failures_per_minute": 0}
    home = tmp_path_factory.mktemp("described")
    parts = make_parts(ServiceSettings(data=home / "d", allowed_hosts=["testserver"], **free))
    (parts.settings.corpus / "story.txt").write_text("The fox walked.\n" * 40)
    app = build_app(parts)
    key, _ = parts.keys.create("tester", [Scope.ADMIN])
    headers = {"Authorization": f"Bearer {key.text}"}
    schema = schemathesis.openapi.from_asgi("/openapi.json", app, headers=headers)
    made = schema["/runs/train"]["POST"].Case(body={"recipe": {"data": {"sources": ["story.txt"]}}})
    run = made.call(headers=headers).json()["run_id"]
    yield schema, headers, run
    parts.close()


def ask(described, method: str, path: str, examples: int) -> None:
    schema, headers, run = described
    operation = schema[path][method]

    @settings(
        max_examples=examples, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
    )
    @given(case=operation.as_strategy(), known=st.booleans())
    def each(case, known: bool) -> None:
        if known and case.path_parameters and "run_id" in case.path_parameters:
            case.path_parameters["run_id"] = run
        case.headers = {**(case.headers or {}), **headers}
        answer = case.call(timeout=120)
        assert answer.status_code != 401
        case.validate_response(answer, checks=AS_DESCRIBED)

    each()


@pytest.mark.parametrize(("method", "path"), OPERATIONS)
def test_a_few_requests_to_each_route(described, method: str, path: str) -> None:
    ask(described, method, path, 4)


@pytest.mark.slow
@pytest.mark.parametrize(("method", "path"), OPERATIONS)
def test_many_requests_to_each_route(described, method: str, path: str) -> None:
    ask(described, method, path, 60)


def test_only_what_has_no_end_is_left_out() -> None:
    every = {route.path for router in (*ROUTERS, *OPENAI_ROUTERS) for route in router.routes}
    assert every >= ENDLESS
    assert len(OPERATIONS) >= len(every) - len(ENDLESS) - 1
