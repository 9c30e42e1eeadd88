"""What is written down of requests: who changed what, and who was refused."""

import json
import re

import pytest
from sqlalchemy import delete

from loquela.cli.main import answer
from loquela.jobs.audit_check import verify_audit
from loquela.jobs.tables import audit
from loquela.service.keys import Scope

RECIPE = {"name": "tiny", "data": {"sources": ["story.txt"]}}


def entries(parts, *actions):
    return [entry for entry in parts.audit.page(limit=500) if not actions or entry.action in actions]


def test_acts_are_written_down_with_who_did_them(client_of, parts, story):
    runner = client_of("run", "read")
    run = runner.post("/runs/train", json={"recipe": RECIPE}, headers={"X-Request-ID": "mine-1"}).json()["run_id"]
    runner.post(f"/runs/{run}/cancel", headers={"X-Request-ID": "mine-2"})
    runner.get("/runs")
    made, submitted, cancelled = entries(parts)
    assert (made.action, made.details["name"]) == ("key.create", "test")
    assert (submitted.action, submitted.target, submitted.actor) == ("run.submit", run, made.target)
    assert (submitted.address, submitted.outcome) == ("testclient", "done")
    assert (cancelled.action, cancelled.details) == ("run.cancel", {"was": "queued"})
    assert verify_audit(parts.audit).whole


def test_an_act_without_an_entry_of_its_own_is_written_down_as_a_request(app, client_of, parts, story):
    runner = client_of("run")
    key = {"Idempotency-Key": "k"}
    for _ in range(2):
        run = runner.post("/runs/train", json={"recipe": RECIPE}, headers=key).json()["run_id"]
    again = entries(parts)[-1]
    assert (again.action, again.target, again.details) == ("request", "POST /runs/train", {"status": 202})
    assert len(entries(parts, "run.submit")) == 1
    assert client_of("infer").post(f"/runs/{run}/generate", json={"prompt_text": "x"}).status_code == 202
    assert client_of("read").post("/runs/plan", json={"recipe": RECIPE}).status_code == 200
    assert entries(parts)[-1].action == "key.create"
    # Whatever route is added, it cannot be forgotten.
    from loquela.service.authentication import Administrator

    @app.delete("/new")
    def new(key: Administrator) -> None:
        return None

    assert client_of("admin").delete("/new").status_code == 200
    assert (entries(parts)[-1].action, entries(parts)[-1].target) == ("request", "DELETE /new")


def test_files_and_keys_are_written_down(owner, parts):
    made = owner.post("/v1/files", files={"file": ("x.jsonl", b"{}")}, data={"purpose": "fine-tune"}).json()["id"]
    owner.delete(f"/v1/files/{made}")
    _, record = parts.keys.create("bot", [Scope.READ])
    for _ in range(2):
        parts.keys.revoke(record.id)
    found = [(entry.action, entry.target) for entry in entries(parts)][1:]
    assert found == [("file.upload", made), ("file.delete", made), ("key.create", record.id), ("key.revoke", record.id)]


def test_refusals_are_written_down_but_fill_no_disk(client_of, parts, clock):
    stranger, reader = client_of(), client_of("read")
    stranger.get("/runs", params={"key": "secret"}, headers={"Authorization": "Bearer planted-secret"})
    stranger.get("/healthz", headers={"Host": "evil.test"})
    reader.post("/runs/x/cancel")
    one, two, three = entries(parts, "refused")
    assert (one.actor, one.outcome, one.target, one.details) == ("", "denied", "GET /runs", {"status": 401})
    assert (two.target, two.details) == ("GET /healthz", {"status": 403})
    assert (three.target, three.details, len(three.actor)) == ("POST /runs/x/cancel", {"status": 403}, 8)
    assert "secret" not in str(entries(parts))
    for _ in range(100):
        stranger.get("/runs")
    assert len(entries(parts, "refused")) == 60
    clock.advance(60)
    stranger.get("/runs/" + "x" * 500)
    assert len(entries(parts, "refused")[-1].target) == 200


def test_only_an_administrator_reads_the_log(client_of, parts):
    assert client_of("read", "run", "infer").get("/audit").status_code == 403
    page = client_of("admin").get("/audit", params={"limit": 1}).json()
    assert (len(page["entries"]), page["last_seq"]) == (1, 1)
    rest = client_of("admin").get("/audit", params={"after": 1, "action": "refused"}).json()
    assert [entry["target"] for entry in rest["entries"]] == ["GET /audit"]
    assert client_of("admin").get("/audit", params={"after": 10**6}).json() == {"entries": [], "last_seq": 10**6}


@pytest.fixture
def run_command(parts, monkeypatch, capsys):
    """`loquela audit …`: its exit code and what it said."""
    monkeypatch.chdir(parts.data.parent)

    def run(*words):
        code = answer(["audit", *words, "--data", str(parts.data)])
        return code, capsys.readouterr().out

    return run


def test_the_log_is_listed_and_proven_on_the_command_line(run_command, parts, client_of):
    client_of("admin").get("/x%1b[31m", headers={"Host": "evil.test"})
    code, listed = run_command("list")
    assert code == 0
    assert re.search(r" 1  20\d\d-.*user:.* key.create +done ", listed)
    assert re.search(r" 2  20\d\d-.* testclient +refused +denied +GET /x.x1b", listed)
    assert "\x1b" not in listed
    assert [entry["seq"] for entry in json.loads(run_command("list", "--after", "1", "--json")[1])] == [2]
    code, said = run_command("verify")
    assert (code, said.splitlines()[0]) == (0, "all 2 entries are as they were written, none is missing")
    with parts.database.write() as connection:
        # Who may alter the schema gets past what guards it.
        connection.exec_driver_sql("DROP TRIGGER audit_no_delete")
        connection.execute(delete(audit).where(audit.c.seq == 2))
    code, said = run_command("verify")
    assert (code, said.splitlines()[0]) == (5, "BROKEN: entries 2 to 2 were removed from the end")
    report = json.loads(run_command("verify", "--json")[1])
    assert (report["whole"], report["broken_at"], report["entries"]) == (False, 2, 1)


def test_without_a_service_there_is_no_log(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert answer(["audit", "verify", "--data", str(tmp_path / "nothing")]) == 2
    assert "has no audit log: no service has worked there" in capsys.readouterr().err
    assert not (tmp_path / "nothing").exists()
