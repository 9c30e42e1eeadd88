"""Keys of two projects at one real service: neither finds, names, stops or hears of what is the other's."""

from __future__ import annotations

import json
import subprocess
import sys
from types import SimpleNamespace

import pytest
from wire import connect, written

from project_walk import RECIPE, listing, made_by, walk

FORM = "----form"
JSON = ("Content-Type", "application/json")


def keys_create(target, project: str, *scopes: str) -> subprocess.CompletedProcess:
    words = [word for scope in scopes for word in ("--scope", scope)]
    return subprocess.run(
        [sys.executable, "-m", "loquela", "keys", "create", f"of {project}", *words, "--project", project,
         "--data", str(target.data), "--json"],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip


class Caller:
    """Asks the target with a key that the command line bound to a project."""

    def __init__(self, target, project: str) -> None:
        self.target = target
        made = json.loads(keys_create(target, project, "read", "run", "infer").stdout)
        assert made["project"] == project
        self.key = made["key"]

    @property
    def own(self) -> tuple[str, str]:
        return ("Authorization", f"Bearer {self.key}")

    def ask(self, method: str, path: str, body: object = None) -> SimpleNamespace:
        sent = b"" if body is None else json.dumps(body).encode()
        answer = self.target.ask(method, path, self.own, *([JSON] if sent else []), body=sent)
        self.target.gives_nothing_away(answer)
        return SimpleNamespace(status=answer.status, text=answer.text)

    def upload(self, text: str) -> str:
        part = f"--{FORM}\r\nContent-Disposition: form-data; name="
        body = f'{part}"purpose"\r\n\r\nfine-tune\r\n{part}"file"; filename="r.jsonl"\r\n\r\n{text}\r\n--{FORM}--\r\n'
        kind = ("Content-Type", f"multipart/form-data; boundary={FORM}")
        answer = self.target.ask("POST", "/v1/files", self.own, kind, body=body.encode())
        assert answer.status == 200, answer
        return str(json.loads(answer.body)["id"])

    def heard(self, path: str, *, until: str) -> str:
        """What a stream says until it has said that."""
        with connect(self.target.address, timeout=20) as wire:
            wire.sendall(written(self.target.address, "GET", path, (self.own,)))
            held = b""
            while until.encode() not in held:
                part = wire.recv(65_536)
                assert part, held
                held += part
        return held.decode()


@pytest.fixture(scope="module")
def anna(target) -> Caller:
    return Caller(target, "alpha")


@pytest.fixture(scope="module")
def ben(target) -> Caller:
    return Caller(target, "beta")


@pytest.fixture(scope="module")
def hers(anna):
    return made_by(anna.ask, anna.upload)


@pytest.fixture(scope="module")
def his(ben):
    return made_by(ben.ask, ben.upload)


def test_what_is_anothers_is_as_what_is_nobodys_on_every_described_route(target, ben, hers, his) -> None:
    assert walk(target.served.get("/openapi.json"), ben.ask, hers, his) > 35
    for run in (hers.run, hers.fine_tuning):
        assert target.served.get(f"/runs/{run}")["state"] == "queued"
    assert target.ask("GET", f"/v1/files/{hers.file}").status == 200


def test_no_list_has_it(target, ben, hers) -> None:
    for path in listing(target.served.get("/openapi.json")):
        answer = ben.ask("GET", path)
        assert answer.status == (403 if path == "/audit" else 200), path
        assert [each for each in hers.ids() if each in answer.text] == [], path


def test_no_stream_says_it(target, anna, ben, hers, his) -> None:
    own = json.loads(ben.ask("POST", "/runs/train", {"recipe": RECIPE}).text)["run_id"]
    for asked in ("after=0", f"run_id={hers.run}", "project=alpha"):
        said = ben.heard(f"/events/stream?{asked}", until=own)
        assert [each for each in hers.ids() if each in said] == []
    assert hers.run in anna.heard("/events/stream", until=hers.fine_tuning)


def test_no_header_changes_whose_key_it_is(target, ben, hers) -> None:
    for name in ("X-Project", "OpenAI-Project", "OpenAI-Organization", "X-Forwarded-User"):
        answer = target.ask("GET", f"/runs/{hers.run}", ben.own, (name, "alpha"))
        assert answer.status == 404, name
    for body in ({"project": "alpha"}, {"created_by": "project:alpha"}, {"labels": {"project": "alpha"}}):
        made = ben.ask("POST", "/runs/train", {"recipe": RECIPE, **body})
        assert made.status == (202 if "labels" in body else 422), body
        if made.status == 202:
            assert json.loads(made.text)["project"] == "beta"


def test_no_key_of_a_project_makes_itself_more(target, ben) -> None:
    for method, path in (("GET", "/audit"), ("POST", "/alerts/test"), ("POST", "/logout")):
        assert ben.ask(method, path, {} if method == "POST" else None).status in (403, 409), path
    refused = keys_create(target, "beta", "admin")
    assert (refused.returncode, json.loads(refused.stdout)["error"]["code"]) == (2, "CONFIG_INVALID")
    assert "cannot have the scope admin" in refused.stdout
    assert "Traceback" not in refused.stdout + refused.stderr
    target.is_well()
