"""Channels deliver to real servers on this machine: exact bodies, refusals, pauses, servers that hang."""

from __future__ import annotations

import base64
import email
import email.policy
import hashlib
import hmac
import json
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import TypeAdapter

from channel_servers import HttpServer, MailServer, answer, drip, hang
from loquela.channels.opening import open_channel
from loquela.channels.post import Poster
from loquela.channels.retries import LONGEST_PAUSE_SECONDS, pause_seconds, send_with_retries
from loquela.channels.smtp import Email
from loquela.channels.webhook import Webhook
from loquela.core.errors import ErrorCode, LoquelaError, RecipeError, ResourceError
from loquela.monitoring.alerts.channel_settings import CHANNEL_KINDS, ChannelSettings
from loquela.monitoring.alerts.notification import Notification, alert_id
from loquela.security.credentials.credential import Credential, from_text

SECRET = "T0PSECRET/B00/xyz"  # noqa: S105 - no real one
SETTINGS: TypeAdapter[ChannelSettings] = TypeAdapter(ChannelSettings)


def notification(
    action: str = "trigger", severity: str = "critical", title: str = "my_run: <@everyone> & *more*"
) -> Notification:
    return Notification.model_validate(
        {"alert_id": alert_id("my_run:nan", 1, 0.0), "action": action, "rule": "nan", "severity": severity}
        | {"subject": "my_run", "dedup_key": "my_run:nan", "title": title, "text": "At step 7: loss is not finite."}
        | {"at": 1_800_000_000.0, "facts": {"step": 7}}
    )  # fmt: skip


def opened(kind: str, token: str | dict, **fields: object):
    def find(name: str) -> Credential:
        return from_text(token if isinstance(token, str) else json.dumps(token), name)

    settings = SETTINGS.validate_python({"name": "mine", "kind": kind, "credential": "c", **fields})
    return open_channel(settings, allow_private=True, find=find)


@pytest.fixture
def server() -> Iterator[HttpServer]:
    made = HttpServer()
    yield made
    made.close()


# ── bodies ────────────────────────────────────────────────────────────────────────────────────────────


def test_slack(server: HttpServer) -> None:
    opened("slack", f"{server.url}/services/{SECRET}").send(notification())
    [(path, headers, _)] = server.got
    assert path == f"/services/{SECRET}"
    assert headers["content-type"] == "application/json"
    text = "[critical] my_run: &lt;@everyone&gt; &amp; *more*\nAt step 7: loss is not finite."
    assert server.bodies == [{"text": text, "mrkdwn": False, "unfurl_links": False}]


def test_discord_mentions_nobody(server: HttpServer) -> None:
    server.default = answer(204)
    channel = opened("discord", f"{server.url}/api/webhooks/1/{SECRET}")
    channel.send(notification())
    channel.send(notification("resolve", title="x" * 300))
    first, second = server.bodies
    assert first == {
        "embeds": [
            {
                "title": r"my\_run: <@everyone\> & \*more\*",
                "description": "At step 7: loss is not finite.",
                "color": 0xCC3311,
                "timestamp": "2027-01-15T08:00:00+00:00",
            }
        ],
        "allowed_mentions": {"parse": []},
    }
    assert second["embeds"][0]["color"] == 0x228833
    assert len(second["embeds"][0]["title"]) == 256


def test_pagerduty_opens_and_resolves(server: HttpServer) -> None:
    server.default = answer(202)
    channel = opened("pagerduty", "R0UTINGKEY", url=f"{server.url}/v2/enqueue")
    channel.send(notification())
    channel.send(notification("resolve"))
    channel.send(notification("test"))
    opening, resolving, *test = server.bodies
    key = {"routing_key": "R0UTINGKEY", "dedup_key": "my_run:nan"}
    assert opening == {
        **key,
        "event_action": "trigger",
        "client": "Loquela",
        "payload": {
            "summary": "my_run: <@everyone> & *more*. At step 7: loss is not finite.",
            "source": "my_run",
            "severity": "critical",
            "timestamp": "2027-01-15T08:00:00+00:00",
            "component": "loquela",
            "class": "nan",
            "custom_details": {"step": 7},
        },
    }
    assert resolving == {**key, "event_action": "resolve"}
    assert [one["event_action"] for one in test] == ["trigger", "resolve"]


@pytest.mark.parametrize("secret", ["shared secret", "whsec_" + base64.b64encode(b"raw key").decode()])
def test_a_webhook_is_signed(server: HttpServer, secret: str) -> None:
    channel = opened("webhook", secret, url=f"{server.url}/hook")
    assert isinstance(channel, Webhook)
    sent = notification()
    channel.send(sent)
    [(_, headers, body)] = server.got
    assert json.loads(body) == json.loads(sent.model_dump_json())
    assert headers["webhook-id"] == str(sent.id)
    assert abs(int(headers["webhook-timestamp"]) - time.time()) < 60
    key = b"raw key" if secret.startswith("whsec_") else b"shared secret"
    signed = f"{sent.id}.{headers['webhook-timestamp']}.".encode() + body
    wanted = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    assert headers["webhook-signature"] == f"v1,{wanted}"
    with pytest.raises(ResourceError, match="in its secret is no Base64"):
        opened("webhook", "whsec_!", url=f"{server.url}/hook").send(sent)


def test_apprise_reaches_what_it_knows(server: HttpServer) -> None:
    address = server.url.replace("http://", "json://")
    opened("apprise", f"{address}/{SECRET}").send(notification(title="it failed"))
    assert (server.bodies[0]["title"], server.bodies[0]["type"]) == ("it failed", "failure")
    server.default = answer(500)
    with pytest.raises(ResourceError, match="the service did not take it") as caught:
        opened("apprise", f"{address}/{SECRET}").send(notification())
    assert caught.value.retryable
    with pytest.raises(ResourceError, match="holds no address that Apprise knows"):
        opened("apprise", "nonsense://")


def test_every_kind_can_be_opened() -> None:
    more = {"email": {"host": "mail.example.org", "sender": "a@b.org", "to": ["c@d.org"], "credential": None},
            "webhook": {"url": "https://example.org"}}  # fmt: skip
    token = {"slack": "https://x.org/1", "discord": "https://x.org/1", "apprise": "json://x.org"}
    for kind in CHANNEL_KINDS:
        assert opened(kind, token.get(kind, "key"), **more.get(kind, {})) is not None


# ── what goes wrong over HTTP ─────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("status", "later"),
    [(400, False), (401, False), (403, False), (404, False), (302, False), (429, True), (500, True), (503, True)],
)
def test_refusals_name_the_host_and_no_secret(server: HttpServer, status: int, later: bool) -> None:
    server.default = answer(status, Retry_After="7", Location=f"{server.url}/elsewhere")
    with pytest.raises(
        ResourceError, match=f"the alert channel mine could not be told: 127.0.0.1 answers {status}"
    ) as caught:
        opened("slack", f"{server.url}/services/{SECRET}").send(notification())
    error = caught.value
    assert (error.code, error.retryable, error.details["pause_seconds"]) == (ErrorCode.NOTIFICATION_FAILED, later, 7.0)
    assert SECRET not in f"{error} {error.details} {error.__cause__}"
    assert len(server.got) == 1


def test_a_server_that_hangs_or_drips_is_left(server: HttpServer) -> None:
    server.default = hang
    slow = Poster("mine", True, timeout_seconds=0.2, total_seconds=5)
    with pytest.raises(ResourceError, match="did not answer in time") as caught:
        slow.post(server.url, b"{}")
    assert caught.value.retryable
    server.default = drip
    with pytest.raises(ResourceError, match="did not answer in time"):
        Poster("mine", True, timeout_seconds=5, total_seconds=0.3).post(server.url, b"{}")


def test_nobody_there_and_no_such_name() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(ResourceError, match=r"the connection to 127.0.0.1 failed \(ConnectError\)") as caught:
        Poster("mine", True).post(f"http://127.0.0.1:{port}/{SECRET}", b"{}")
    assert caught.value.retryable

    def nobody(host: str, port: int) -> list[str]:
        raise ResourceError(ErrorCode.NETWORK_ERROR, "no address", "wait", retryable=True)

    with pytest.raises(ResourceError, match="nowhere.example has no address"):
        Poster("mine", False, resolver=nobody).post("https://nowhere.example/", b"{}")


@pytest.mark.parametrize("address", ["127.0.0.1", "10.1.2.3", "169.254.169.254", "::1", "::ffff:127.0.0.1"])
def test_private_addresses_are_for_who_asks_for_them(server: HttpServer, address: str) -> None:
    poster = Poster("mine", False, resolver=lambda host, port: [address])
    with pytest.raises(ResourceError, match="leads to an address that is not public") as caught:
        poster.post("https://looks.example/", b"{}")
    assert "allow_private_addresses" in caught.value.remedy
    assert not caught.value.retryable
    with pytest.raises(ResourceError, match="its secrets would go to 127.0.0.1 over http"):
        Poster("mine", False).post(server.url, b"{}")
    assert server.got == []


@pytest.mark.parametrize("token", ["not an address", "ftp://x.org", "https://u:p@x.org/", "https://"])
def test_a_secret_address_that_is_none(token: str) -> None:
    with pytest.raises(ResourceError, match="holds no address that begins with https"):
        opened("slack", token)


def test_credentials_of_another_kind_or_host() -> None:
    with pytest.raises(ResourceError, match="is of kind basic, not bearer") as caught:
        opened("slack", {"kind": "basic", "username": "u", "password": "p"})
    assert caught.value.remedy.endswith("--kind bearer")
    with pytest.raises(RecipeError, match="is kept for hooks.slack.com; it is not given to x.org"):
        opened("slack", {"kind": "bearer", "token": "https://x.org/1", "host": "hooks.slack.com"})
    with pytest.raises(RecipeError, match="is kept for a.org"):
        opened("webhook", {"kind": "bearer", "token": "s", "host": "a.org"}, url="https://b.org")


# ── retries ───────────────────────────────────────────────────────────────────────────────────────────


def test_tries_again_after_the_pause_that_is_asked_for(server: HttpServer) -> None:
    server.plans = [answer(429, Retry_After="3"), answer(503), answer(200)]
    waited: list[float] = []
    done = send_with_retries(opened("slack", f"{server.url}/x"), notification(), 5, lambda s: waited.append(s) or False)
    assert (done.sent, done.attempts, done.error) == (True, 3, None)
    assert waited[0] == 3.0
    assert 1.6 <= waited[1] <= 2.4


def test_gives_up_where_nothing_can_come_of_it(server: HttpServer) -> None:
    server.default = answer(404)
    done = send_with_retries(opened("slack", f"{server.url}/x"), notification(), 5, lambda s: False)
    assert (done.sent, done.attempts) == (False, 1)
    server.default = answer(500)
    assert send_with_retries(opened("slack", f"{server.url}/x"), notification(), 3, lambda s: False).attempts == 3
    stopped = send_with_retries(opened("slack", f"{server.url}/x"), notification(), 3, lambda s: True)
    assert (stopped.sent, stopped.attempts) == (False, 1)
    assert "answers 500" in (stopped.error or "")


def test_no_pause_is_endless() -> None:
    later = ResourceError(ErrorCode.NOTIFICATION_FAILED, "x", "y", retryable=True, details={"pause_seconds": 1e9})
    assert pause_seconds(1, later) == LONGEST_PAUSE_SECONDS
    doubled: LoquelaError = ResourceError(ErrorCode.NOTIFICATION_FAILED, "x", "y", retryable=True)
    assert (pause_seconds(30, doubled) or 0) <= LONGEST_PAUSE_SECONDS * 1.2


# ── mail ──────────────────────────────────────────────────────────────────────────────────────────────

LOGIN = ("me", "pass word")


def mailer(server: MailServer, security: str = "starttls", **fields: object) -> Email:
    login = fields.pop("login", None)
    settings = SETTINGS.validate_python(
        {"name": "mail", "kind": "email", "host": "localhost", "port": server.port, "security": security}
        | {"sender": "loquela@example.org", "to": ["a@example.org", "b@example.org"], "authority": server.authority}
        | fields
    )  # fmt: skip
    limits = {"timeout_seconds": 5.0, "total_seconds": 10.0, "resolver": lambda host, port: ["127.0.0.1"]}
    return Email(settings, True, login, **limits)


@pytest.mark.parametrize("security", ["starttls", "tls", "none"])
def test_mail_arrives_and_an_end_answers_its_beginning(tmp_path: Path, security: str) -> None:
    server = MailServer(tmp_path, security)
    try:
        mailer(server, security).send(notification(title="my_run: größer als je"))
        mailer(server, security).send(notification("resolve"))
    finally:
        server.close()
    (to, first), (_, second) = server.mails
    assert to == ["a@example.org", "b@example.org"]
    begin = email.message_from_string(first, policy=email.policy.default)
    end = email.message_from_string(second, policy=email.policy.default)
    assert begin["Subject"] == "[loquela] [critical] my_run: größer als je"
    assert begin["Date"] == "Fri, 15 Jan 2027 08:00:00 -0000"
    assert begin["Auto-Submitted"] == "auto-generated"
    assert begin.get_content().splitlines()[0] == "At step 7: loss is not finite."
    assert begin["Message-ID"] == f"<{notification().id.hex}@example.org>"
    assert end["In-Reply-To"] == end["References"] == begin["Message-ID"]


def test_a_login_is_right_or_told(tmp_path: Path) -> None:
    server = MailServer(tmp_path, "starttls", LOGIN)
    try:
        mailer(server, login=LOGIN).send(notification())
        with pytest.raises(
            ResourceError, match=r"mail server localhost: it refuses username and password \(535\)"
        ) as caught:
            mailer(server, login=("me", "wrong")).send(notification())
        assert not caught.value.retryable
        assert "wrong" not in str(caught.value)
        with pytest.raises(ResourceError, match="username or password has letters that"):
            mailer(server, login=("me", "pässword")).send(notification())
        with pytest.raises(ResourceError, match="it answers 530|it refuses every recipient"):
            mailer(server).send(notification())
    finally:
        server.close()
    assert len(server.mails) == 1


def test_a_certificate_of_nobody_is_not_trusted(tmp_path: Path) -> None:
    for security in ("starttls", "tls"):
        server = MailServer(tmp_path / security, security)
        try:
            with pytest.raises(ResourceError, match="its certificate does not prove its name") as caught:
                mailer(server, security, authority=None).send(notification())
            assert not caught.value.retryable
            with pytest.raises(ResourceError, match="its certificate does not prove its name"):
                mailer(server, security, host="other.example").send(notification())
        finally:
            server.close()
        assert server.mails == []


def test_recipients_that_are_refused(tmp_path: Path) -> None:
    server = MailServer(tmp_path, "none", refuse="a@")
    try:
        with pytest.raises(ResourceError, match="it refuses 1 of 2 recipients"):
            mailer(server, "none").send(notification())
        with pytest.raises(ResourceError, match="it refuses every recipient") as caught:
            mailer(server, "none", to=["a@example.org"]).send(notification())
        assert not caught.value.retryable
    finally:
        server.close()
    server = MailServer(tmp_path, "none", refuse="busy@")
    try:
        with pytest.raises(ResourceError, match="it refuses every recipient") as caught:
            mailer(server, "none", to=["busy@example.org"]).send(notification())
        assert caught.value.retryable
    finally:
        server.close()


def test_a_mail_server_without_tls_is_not_used(tmp_path: Path) -> None:
    server = MailServer(tmp_path, "none")
    try:
        with pytest.raises(ResourceError, match="it cannot what is asked of it"):
            mailer(server, "starttls").send(notification())
    finally:
        server.close()
    assert server.mails == []


def test_a_mail_server_that_says_nothing_drips_or_is_not_there(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        settings = SETTINGS.validate_python(
            {"name": "mail", "kind": "email", "host": "localhost", "port": port, "sender": "a@b.org", "to": ["c@d.org"]}
        )
        where = {"resolver": lambda host, port: ["127.0.0.1"]}
        with pytest.raises(ResourceError, match="it hung up, or said nothing") as caught:
            Email(settings, True, timeout_seconds=0.2, **where).send(notification())
        assert caught.value.retryable

        stop = threading.Event()

        def dripping() -> None:
            connection, _ = silent.accept()
            with connection:
                while not stop.wait(0.02):
                    try:
                        connection.sendall(b"2")
                    except OSError:
                        return

        silent.accept()[0].close()  # the one that was left above
        thread = threading.Thread(target=dripping)
        thread.start()
        try:
            with pytest.raises(ResourceError, match="it did not answer in time"):
                Email(settings, True, timeout_seconds=5, total_seconds=0.3, **where).send(notification())
        finally:
            stop.set()
            thread.join()
    with pytest.raises(ResourceError, match=r"the connection failed \(ConnectionRefusedError\)"):
        Email(settings, True, timeout_seconds=1, **where).send(notification())
    with pytest.raises(ResourceError, match="it leads to an address that is not public"):
        Email(settings, False, **where).send(notification())
