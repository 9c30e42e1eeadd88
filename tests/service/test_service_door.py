"""Who is let in: every route, every stranger."""

import socket

import pytest
from fastapi.routing import APIRoute

from loquela.jobs.settings import ServiceSettings
from loquela.service.app import OPENAI_ROUTERS, ROUTERS
from loquela.service.guard import host_name
from loquela.service.keys import Scope
from loquela.service.serving import _listening
from loquela.service.sessions import GOOD_FOR_SECONDS, LoginToken

OPEN = {"/healthz", "/readyz", "/login"}


def routes():
    for router in (*ROUTERS, *OPENAI_ROUTERS):
        for route in router.routes:
            assert isinstance(route, APIRoute)
            yield from ((method, route.path) for method in sorted(route.methods))


def test_every_route_but_health_and_login_wants_a_key(client_of):
    stranger = client_of()
    seen = 0
    for method, path in routes():
        if path in OPEN:
            continue
        seen += 1
        for sent in ({}, {"Authorization": "Bearer nonsense"}, {"X-Api-Key": "lq_a_b_c"}, {"Authorization": "Basic x"}):
            answer = stranger.request(method, path.replace("{", "").replace("}", ""), headers=sent, json={})
            assert (method, path, answer.status_code) == (method, path, 401)
            assert answer.json()["error"]["code"] == "UNAUTHORIZED"
            assert answer.json()["error"]["message"] == "a valid API key is needed"
            assert answer.headers["www-authenticate"] == "Bearer"
    assert seen > 10


def test_a_key_may_only_what_its_scope_says(client_of):
    reader = client_of("read")
    for method, path in routes():
        if method != "POST" or path in OPEN or path in ("/runs/plan", "/runs/validate", "/logout"):
            continue
        answer = reader.post(path.replace("{", "").replace("}", ""), json={"recipe": {}})
        assert (path, answer.status_code) == (path, 403)
        assert "lacks the scope" in answer.json()["error"]["message"]
    assert client_of("infer").get("/runs").status_code == 403
    assert reader.get("/runs").status_code == 200


@pytest.mark.parametrize("header", ["Authorization", "X-Api-Key"])
def test_a_key_may_come_in_either_header(client_of, parts, header):
    key, _ = parts.keys.create("k", [Scope.READ])
    sent = f"Bearer {key.text}" if header == "Authorization" else key.text
    assert client_of().get("/runs", headers={header: sent}).status_code == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.test",
        "127.0.0.1.evil.test",
        "localhost.evil.test",
        "localhost.",
        "",
        "evil.test:80",
        "x@localhost",
        "[::1",
        "localhost/x",
    ],
)
def test_a_request_to_another_name_is_refused_before_any_route(owner, host):
    for path in ("/healthz", "/runs", "/x/../runs", "//runs", "/%2e%2e/runs"):
        answer = owner.get(path, headers={"Host": host})
        assert answer.status_code == 403
        assert "a name that this service does not have" in answer.json()["error"]["message"]


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:8040", "127.0.0.1", "127.0.0.1:99", "[::1]:8040"])
def test_its_own_names_are_answered(owner, host):
    assert owner.get("/healthz", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize("origin", ["https://evil.test", "null", "http://localhost.evil.test", "file://"])
def test_a_page_of_another_origin_is_refused(owner, origin):
    assert owner.get("/runs", headers={"Origin": origin}).status_code == 403
    assert owner.post("/runs/train", headers={"Origin": origin}, json={}).status_code == 403


def test_its_own_page_is_let_in_and_no_other_gets_a_word_of_permission(owner):
    answer = owner.get("/runs", headers={"Origin": "http://localhost"})
    assert answer.status_code == 200
    assert not [name for name in answer.headers if name.startswith("access-control")]


def test_a_browser_that_was_sent_here_by_a_stranger_is_refused(owner):
    answer = owner.get("/runs", headers={"Sec-Fetch-Site": "cross-site"})
    assert (answer.status_code, answer.json()["error"]["message"]) == (403, "another page sent the browser here")


def test_every_answer_has_an_id_and_forbids_what_pages_need_not_do(owner):
    answer = owner.get("/nothing", headers={"X-Request-ID": "mine-1"})
    assert answer.headers["x-request-id"] == "mine-1" == answer.json()["error"]["request_id"]
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
    assert len(owner.get("/healthz", headers={"X-Request-ID": "a\tb"}).headers["x-request-id"]) == 32


@pytest.mark.parametrize(
    ("host", "name"), [("a:1", "a"), ("[::1]:8", "[::1]"), ("A.B", "a.b"), ("a@b", ""), ("[::1", ""), ("", "")]
)
def test_names_in_host_headers(host, name):
    assert host_name(host) == name


def test_the_printed_link_opens_one_session_once(app, client_of, parts, clock):
    app.state.login = LoginToken(clock)
    browser = client_of()
    assert browser.get("/login", params={"token": "wrong"}).status_code == 401
    opened = browser.get("/login", params={"token": app.state.login.text})
    assert opened.status_code == 200
    cookie = opened.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert browser.get("/runs").status_code == 200
    again = client_of().get("/login", params={"token": app.state.login.text})
    assert (again.status_code, again.json()["error"]["message"]) == (401, "this link was used already, or is too old")
    assert browser.post("/runs/run-1/cancel").status_code == 401
    assert browser.post("/runs/run-1/cancel", headers={"Origin": "http://localhost"}).status_code == 404
    clock.advance(13 * 3600)
    assert browser.get("/runs").status_code == 401


def test_a_session_is_ended_by_its_page_and_nothing_else_is(app, client_of, parts, clock):
    app.state.login = LoginToken(clock)
    browser = client_of()
    browser.get("/login", params={"token": app.state.login.text})
    cookie = dict(browser.cookies)
    assert browser.post("/logout").status_code == 401
    ended = browser.post("/logout", headers={"Origin": "http://localhost"})
    assert ended.json()["revoked_at"] == clock.now()
    assert 'loquela_session=""' in ended.headers["set-cookie"]
    stolen = client_of()
    stolen.cookies.update(cookie)
    assert stolen.get("/runs").status_code == 401
    answer = client_of("admin").post("/logout")
    assert (answer.status_code, answer.json()["error"]["message"]) == (409, "this is no browser's session")


def test_the_printed_link_grows_old(clock):
    token = LoginToken(clock)
    clock.advance(GOOD_FOR_SECONDS + 1)
    assert not token.use(token.text)


def test_without_a_link_nobody_logs_in(client_of):
    assert client_of().get("/login", params={"token": ""}).status_code == 401


def test_readiness_says_what_is_missing(owner, parts, client_of):
    assert client_of().get("/readyz").json() == {"ready": True, "checks": {"database": "ok", "disk": "ok"}}
    parts.database.close()
    (parts.data / "service.db").unlink()
    (parts.data / "service.db").mkdir()
    answer = client_of().get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["checks"]["database"] == "it cannot be reached"
    assert client_of().get("/healthz").status_code == 200


def test_the_description_holds_every_route(owner):
    described = owner.get("/openapi.json").json()
    found = {(method.upper(), path) for path, methods in described["paths"].items() for method in methods}
    assert found == set(routes()) - {("GET", "/openapi.json")}


def test_an_error_of_ours_is_told_without_its_inside_and_kept_in_the_log(app, owner, parts):
    @app.get("/broken")
    def broken():
        raise ZeroDivisionError("a secret of the inside")

    answer = owner.get("/broken", headers={"X-Request-ID": "mine-2"})
    assert answer.status_code == 500
    error = answer.json()["error"]
    assert (error["code"], error["message"]) == ("INTERNAL", "an error of Loquela's own")
    assert error["request_id"] == "mine-2"
    assert "secret" not in answer.text
    (kept,) = [event for event in parts.events.after(0) if event.name == "service.bug.v1"]
    assert kept.data == {"request_id": "mine-2", "error": "ZeroDivisionError: a secret of the inside"}


def test_small_answers_wait_for_nothing(tmp_path):
    with _listening(ServiceSettings(data=tmp_path, port=0)) as listener:
        # What asyncio asks before it switches Nagle's waiting off.
        assert (listener.type, listener.proto) == (socket.SOCK_STREAM, socket.IPPROTO_TCP)
