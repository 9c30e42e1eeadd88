"""Every route of the service has its verb in the client, or a reason why not; sync and async are twins."""

import inspect

import pytest

from loquela import AsyncClient, Client
from loquela.client import calls
from loquela.service.app import OPENAI_ROUTERS, ROUTERS

WITHOUT = {
    "GET /healthz": "for whoever watches the process, without a key",
    "GET /readyz": "for whoever watches the process, without a key",
    "GET /openapi.json": "the description itself",
    "GET /login": "a browser's",
    "POST /logout": "a browser's",
}
R, J = "a-run", "a-job"
CALLED = [
    calls.me(), calls.train({}), calls.plan({}), calls.validate({}), calls.runs(), calls.run(R),
    *(calls.change(R, verb) for verb in ("cancel", "pause", "resume")),
    calls.compare(R, J), calls.events(), calls.events(run_id=R), calls.events(job_id=J), calls.logs(R),
    calls.metric_names(R),
    calls.metrics(R, ["loss"]), calls.generate(R, {}), calls.generated(R, J), calls.score(R, {}), calls.scored(R, J),
    calls.chat(R, {}), calls.jobs(), calls.job(J), calls.change_job(J, "cancel"), calls.change_job(J, "resume"),
    calls.evaluate(R, {}), calls.evaluation(R), calls.evaluation(R, J), calls.exports(R), calls.deploy_checks(R),
    calls.promotions(R),
    *(calls.work_on(R, verb, {}) for verb in ("exports", "deploy-checks", "promotions", "merge", "verify")),
    calls.train_tokenizer({}), calls.tokenizer(J), calls.tokenizers(), calls.artifacts(R), calls.stored(),
    calls.alerts(), calls.deliveries(), calls.try_alerts(), calls.audit(),
]  # fmt: skip
STREAMED = [
    ("GET", calls.stream_path(None)), ("GET", calls.stream_path(R)), ("GET", calls.stream_path(None, J)),
    ("GET", calls.logs_stream_path(R)), ("POST", calls.chat_stream_path(R)), ("GET", calls.artifact_path("run", R)),
    ("GET", calls.artifact_path("model", R)),
]  # fmt: skip


def routes():
    for router in ROUTERS:
        for route in router.routes:
            for method in route.methods:
                yield method, route


def test_every_route_has_a_verb_or_a_reason():
    reached = [(call.method, call.path) for call in CALLED] + STREAMED
    without = {
        f"{method} {route.path}"
        for method, route in routes()
        if not any(method == asked and route.path_regex.fullmatch(path) for asked, path in reached)
    }
    assert without == set(WITHOUT)


def test_every_call_is_answered_by_a_route():
    for method, path in [(call.method, call.path) for call in CALLED] + STREAMED:
        assert any(method == other and route.path_regex.fullmatch(path) for other, route in routes()), path


def test_only_openais_routes_are_left_to_its_own_sdk():
    paths = [route.path for router in OPENAI_ROUTERS for route in router.routes]
    assert paths and all(path.startswith("/v1/") for path in paths)


@pytest.mark.parametrize("kind", [Client, AsyncClient])
def test_every_call_is_a_verb(kind):
    source = inspect.getsource(kind)
    ours = [found for found in vars(calls).values() if inspect.isfunction(found) and found.__module__ == calls.__name__]
    made = [found.__name__ for found in ours if not found.__name__.startswith("_")]
    assert [name for name in made if f"calls.{name}(" not in source] == []


def test_both_clients_have_the_same_verbs():
    def verbs(kind):
        named = {name: found for name, found in vars(kind).items() if not name.startswith("_") and name != "url"}
        return {name: list(inspect.signature(found).parameters) for name, found in named.items()}

    assert verbs(Client) == verbs(AsyncClient)
