"""Who has no key, a wrong one, or one of another: on every route that the real service describes."""

from __future__ import annotations

import inspect
import json
import re
import sqlite3
import subprocess
import sys
import time

import pytest
from wire import parsed, send, written

from loquela.security import api_keys
from loquela.security.api_keys import new_key
from loquela.service import keys, sessions, streams
from waiting import until

OPEN = {"/healthz", "/readyz", "/login"}
JSON = ("Content-Type", "application/json")
GOOD = json.dumps({"recipe": {"name": "tiny", "data": {"sources": ["story.txt"]}}}).encode()


def make_key(target, name: str, *scopes: str) -> tuple[str, str]:
    """A key that the command line makes, and its id."""
    words = [word for scope in scopes for word in ("--scope", scope)]
    done = subprocess.run(
        [sys.executable, "-m", "loquela", "keys", "create", name, *words, "--data", str(target.data), "--json"],
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    made = json.loads(done.stdout)
    return made["key"], made["id"]


@pytest.fixture(scope="module")
def reader(target) -> tuple[str, str]:
    return make_key(target, "reader", "read")


def routes(target) -> list[tuple[str, str]]:
    described = target.served.get("/openapi.json")["paths"]
    found = [(method.upper(), re.sub(r"{\w+}", "x", path)) for path, methods in described.items() for method in methods]
    return [*found, ("GET", "/openapi.json")]


def test_no_route_answers_without_a_good_key(target, reader) -> None:
    cut = reader[0][:-3]
    strangers = [
        (), (("Authorization", "Bearer "),), (("Authorization", "Bearer x"),), (("Authorization", "Basic eDp5"),),
        (("Authorization", f"Bearer {new_key().text}"),), (("Authorization", f"Bearer {cut}"),),
        (("X-Api-Key", "' OR 1=1 --"),), (("Cookie", "loquela_session=x"),), (("X-Api-Key", "a" * 20_000),),
    ]  # fmt: skip
    seen = 0
    for number, (method, path) in enumerate(route for route in routes(target) if route[1] not in OPEN):
        for headers in ((), strangers[number % len(strangers)]):
            answer = target.anybody(method, path, *headers)
            assert (method, path, answer.status) == (method, path, 401)
            assert (answer.error["code"], answer.error["message"]) == ("UNAUTHORIZED", "a valid API key is needed")
            assert answer.headers["www-authenticate"] == "Bearer"
            target.gives_nothing_away(answer)
        seen += 1
    assert seen > 35
    assert {target.anybody("GET", "/me", *headers).status for headers in strangers} == {401}


def test_no_other_method_gets_past_it(target) -> None:
    for method in ("HEAD", "OPTIONS", "DELETE", "PUT", "PATCH", "TRACE"):
        for path in ("/runs", "/runs/x", "/v1/files/x", "/audit", "/events/stream"):
            assert target.anybody(method, path).status in (401, 404, 405), (method, path)
    assert target.runs() == 0


def test_a_key_in_the_address_is_none_and_is_kept_nowhere(target, reader) -> None:
    for name in ("key", "api_key", "token", "access_token", "authorization"):
        assert target.anybody("GET", f"/runs?{name}={reader[0]}").status == 401
        assert target.anybody("GET", f"/login?{name}={reader[0]}").status in (401, 422)
    assert reader[0].encode() not in everything(target)


def test_a_key_that_reads_does_nothing_else(target, reader) -> None:
    own = ("Authorization", f"Bearer {reader[0]}")
    sent = (own, JSON, ("Idempotency-Key", "stolen"))
    assert target.ask("POST", "/runs/train", JSON, ("Idempotency-Key", "stolen"), body=GOOD).status == 202
    again = target.ask("POST", "/runs/train", *sent, body=GOOD)
    assert (again.status, "lacks the scope run" in again.error["message"]) == (403, True)
    run = target.served.get("/runs")["runs"][0]["run_id"]
    for path in (f"/runs/{run}/cancel", f"/runs/{run}/generate", "/v1/chat/completions", "/v1/files"):
        assert target.ask("POST", path, own, JSON, body=b"{}").status in (403, 422), path
    assert target.ask("GET", "/audit", own).status == 403
    assert target.served.get(f"/runs/{run}")["state"] == "queued"
    # The same key of the caller's with another body is told so, and makes nothing.
    other = GOOD.replace(b"tiny", b"other")
    assert target.ask("POST", "/runs/train", JSON, ("Idempotency-Key", "stolen"), body=other).status == 400
    assert target.runs() == 1
    target.served.client.post(f"/runs/{run}/cancel")


def test_ids_of_others_cannot_be_told_from_ids_of_nobody(target) -> None:
    answers = {target.ask("GET", f"/runs/{run}").text.replace(run, "*") for run in ("a-1", "b-2", "c" * 90)}
    shapes = {re.sub(r'"request_id":"\w+"', "", answer) for answer in answers}
    assert len(shapes) == 1
    files = {target.ask("GET", f"/v1/files/file-{n}").status for n in range(5)}
    assert files == {404}


def test_a_revoked_key_is_nothing_and_its_stream_ends(target) -> None:
    key, key_id = make_key(target, "leaver", "read")
    request = written(target.address, "GET", "/events/stream", (("X-Api-Key", key),))
    from wire import connect

    with connect(target.address) as wire:
        wire.sendall(request)
        assert wire.recv(65_536).startswith(b"HTTP/1.1 200")
        revoke = [sys.executable, "-m", "loquela", "keys", "revoke", key_id, "--data", str(target.data)]
        subprocess.run(revoke, capture_output=True, timeout=120, check=True)
        began = time.monotonic()
        while wire.recv(65_536):
            assert time.monotonic() - began < 25
    # On a machine that has nothing else to do it is this.
    assert streams.KEY_CHECK_SECONDS + streams.LOOK_EVERY_SECONDS < 5
    assert target.ask("GET", "/me", ("X-Api-Key", key)).status == 401


def test_the_link_opens_one_session_and_leads_nowhere_else(target) -> None:
    path = target.served.login_link.removeprefix(target.address)
    for _ in range(3):
        assert target.anybody("GET", "/login?token=" + "x" * 43).status == 401
    opened = target.anybody("GET", f"{path}&next=https://evil.test&redirect=//evil.test&return_to=/x")
    assert opened.status == 200
    target.gives_nothing_away(opened)
    cookie = opened.headers["set-cookie"]
    assert {"HttpOnly", "SameSite=strict", "Path=/"} <= set(cookie.split("; "))
    assert (opened.headers["referrer-policy"], opened.headers["cache-control"]) == ("no-referrer", "no-store")
    again = target.anybody("GET", path)
    assert (again.status, again.error["message"]) == (401, "this link was used already, or is too old")
    session = ("Cookie", cookie.partition(";")[0])
    assert target.ask("GET", "/runs", session).status == 200
    own, runs = ("Origin", target.address), target.runs()
    forgeries = [
        (session,), (session, ("Origin", "https://evil.test")), (session, ("Origin", "null")),
        (session, ("Content-Type", "text/plain")), (session, ("Sec-Fetch-Site", "cross-site")),
        (session, ("Referer", f"{target.address}/")), (session, ("X-Requested-With", "XMLHttpRequest")),
    ]  # fmt: skip
    for headers in forgeries:
        assert target.ask("POST", "/runs/train", *headers, body=GOOD).status in (401, 403)
    assert target.runs() == runs
    assert target.ask("POST", "/logout", session, own).status == 200
    assert target.ask("GET", "/runs", session).status == 401


def test_a_key_is_compared_in_a_time_that_tells_nothing() -> None:
    """What is compared, and that a key that is none costs the same work; clocks of busy machines prove nothing."""
    assert "compare_digest" in inspect.getsource(api_keys.same_digest)
    assert "compare_digest" in inspect.getsource(api_keys.parse_key)
    assert "compare_digest" in inspect.getsource(sessions.LoginToken.use)
    check = inspect.getsource(keys.KeyStore.check)
    assert "same_digest" in check
    assert check.index("key_digest") < check.index("is None")


def everything(target) -> bytes:
    """All that the service has written, but for the file that holds the owner's key."""
    connection = sqlite3.connect(target.data / "service.db")
    dumped = "\n".join(connection.iterdump())
    connection.close()
    files = [path for path in target.data.rglob("*") if path.is_file() and path.name != "owner.key"]
    return dumped.encode() + b"".join(path.read_bytes() for path in files)


def test_no_key_and_no_secret_lies_in_the_data_folder(target, reader) -> None:
    held = everything(target)
    for secret in (reader[0], reader[0].split("_")[2], target.key, target.key.split("_")[2]):
        assert secret.encode() not in held
    for name in ("owner.key", "pepper", "audit.key"):
        assert (target.data / "keys" / name).stat().st_mode & 0o077 == 0


def test_guesses_are_slowed_down_and_lock_nobody_out(tmp_path_factory) -> None:
    from attack_target import Target

    # Reachable by other machines, and without TLS: that is said.
    limits = {"LOQUELA_FAILURES_PER_MINUTE": "5", "LOQUELA_WRITES_PER_MINUTE": "3"}
    made = Target(tmp_path_factory.mktemp("guessed"), LOQUELA_HOST="0.0.0.0", **limits)  # noqa: S104
    try:
        assert json.loads(made.served.said[0])["in_the_clear"]
        guesses = [made.anybody("GET", "/me", ("X-Api-Key", new_key().text)) for _ in range(8)]
        # Every twelve seconds another one is let through.
        assert [guess.status for guess in guesses[:5]] == [401] * 5
        assert {guess.status for guess in guesses[5:]} >= {429}
        slowed = until(lambda: (told := made.anybody("GET", "/login?token=guess")).status == 429 and told)
        assert int(slowed.headers["retry-after"]) >= 1
        assert made.ask("GET", "/me").status == 200
        writes = [made.ask("POST", "/runs/x/cancel").status for _ in range(5)]
        assert writes[:3] == [404] * 3
        assert 429 in writes[3:]
        assert made.anybody("GET", "/healthz").status == 200
    finally:
        assert made.served.stop() == 0


def test_two_requests_on_one_connection_are_two_callers(target) -> None:
    good = written(target.address, "GET", "/me", (target.owner, ("Connection", "keep-alive")))
    bad = written(target.address, "GET", "/me", ())
    both = send(target.address, good + bad)
    assert both.status == 200
    second = parsed(b"HTTP/1.1 " + both.body.partition(b"HTTP/1.1 ")[2])
    assert second.status == 401
