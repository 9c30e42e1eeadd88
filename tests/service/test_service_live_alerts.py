"""Rules and channels of alerts that change while the service runs, and files of them that cannot be used."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import select

from channel_servers import HttpServer
from loquela.jobs.tables import deliveries
from loquela.service.alerts.threads import AlertThreads
from served import Served
from waiting import until

OPEN = "allow_private_addresses = true\n"


@pytest.fixture(autouse=True)
def credentials(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("LOQUELA_CREDENTIAL_HOOK", "shared secret")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.delenv("LOQUELA_ALERTS_FILE", raising=False)


@pytest.fixture
def server() -> Iterator[HttpServer]:
    made = HttpServer()
    yield made
    made.close()


def channel(name: str, url: str = "https://hooks.test/x", credential: str = "hook") -> str:
    return f'[[channels]]\nname = "{name}"\nkind = "webhook"\nurl = "{url}"\ncredential = "{credential}"\n'


def told(parts, name: str) -> list[dict]:
    return [event.data for event in parts.events.after(0) if event.name == f"service.alerts_{name}.v1"]


@pytest.fixture
def file(parts) -> Path:
    """The file of the data folder, which the service has read once."""
    place = parts.data / "alerts.toml"
    place.write_text(channel("team"))
    parts.live_alerts.take()
    return place


def test_what_changed_is_in_force_and_told_by_its_name(parts, owner, file: Path) -> None:
    assert told(parts, "changed") == [{"changed": ["channels.team"]}]
    file.write_text(
        channel("team", "https://hooks.test/secret-place") + channel("duty") + "[rules.nan]\nenabled = false\n"
    )
    parts.live_alerts.take()
    assert owner.get("/alerts").json() == {"alerts": [], "channels": ["team", "duty"], "refused": None}
    assert told(parts, "changed")[1:] == [{"changed": ["channels.duty", "channels.team", "rules.nan"]}]
    assert [entry.outcome for entry in parts.audit.page(action="alerts.change")] == ["done", "done"]
    parts.live_alerts.take()
    assert len(told(parts, "changed")) == 2
    assert owner.post("/alerts/test", json={"channel": "duty"}).status_code == 202


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[[channels]", "cannot be read as a file of alerts"),
        ("[rules.nam]\nenabled = false\n", "rules.nam: Extra inputs are not permitted"),
        (channel("team", credential="nowhere"), "there is no credential 'nowhere'"),
        (channel("team", "https://me:secret@hooks.test/"), "an address with a password"),
        (OPEN + channel("team"), "allow_private_addresses is switched on only when the service starts again"),
        (None, "alerts.toml is gone from the data folder; what it said stays in force"),
    ],
)
def test_a_file_that_cannot_be_used_leaves_what_was_in_force_and_says_so(
    parts, owner, file: Path, text: str | None, says: str
) -> None:
    before = parts.alerts.in_force.policy
    watched = parts.live_alerts.watched()
    watched.stop()
    if text is None:
        file.unlink()
    else:
        file.write_text(text)
    watched.reload()
    watched.reload()
    assert parts.alerts.in_force.policy == before
    (refused,) = told(parts, "refused")
    assert says in refused["error"]
    assert refused["remedy"]
    shown = owner.get("/alerts").json()
    assert shown["channels"] == ["team"]
    assert says in shown["refused"]["message"]
    assert str(parts.data) not in str(shown)
    assert {entry.outcome for entry in parts.audit.page(action="alerts.change")} == {"done", "denied"}
    file.write_text(channel("team"))
    watched.reload()
    assert owner.get("/alerts").json()["refused"] is None


def test_files_of_strangers_and_links_that_turn_are_refused(parts, file: Path, tmp_path: Path) -> None:
    watched = parts.live_alerts.watched()
    watched.stop()
    file.write_text(channel("theirs"))
    file.chmod(0o666)
    watched.reload()
    file.unlink()
    planted = tmp_path / "planted.toml"
    planted.write_text(channel("theirs"))
    file.symlink_to(planted)
    watched.reload()
    assert [one["error"] for one in told(parts, "refused")] == [
        "others may write alerts.toml: chmod go-w it",
        "alerts.toml is a link that leads elsewhere than when the service started",
    ]
    assert [one.name for one in parts.alerts.in_force.policy.channels] == ["team"]


def test_channels_come_and_go_while_their_threads_run(parts, server: HttpServer, owner) -> None:
    place = parts.data / "alerts.toml"
    parts.alerts.in_force.policy = parts.alerts.in_force.policy.model_copy(update={"allow_private_addresses": True})
    place.write_text(OPEN + channel("first", server.url))
    parts.live_alerts.take()
    threads = AlertThreads(parts.database, parts.clock, parts.alerts.in_force, parts.data, "one")
    threads.start()
    try:
        owner.post("/alerts/test", json={"channel": "first"})
        until(lambda: len(server.got) == 1)
        place.write_text(OPEN + channel("second", server.url))
        parts.live_alerts.take()
        owner.post("/alerts/test", json={"channel": "second"})
        until(lambda: len(server.got) == 2)
        until(lambda: not waiting(parts))
    finally:
        threads.stop()


def waiting(parts) -> list[str]:
    with parts.database.read() as connection:
        return list(connection.execute(select(deliveries.c.id).where(deliveries.c.state == "waiting")).scalars())


def test_another_file_that_the_settings_name_is_taken(parts, file: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.toml"
    other.write_text(channel("night"))
    parts.live.update("alerts_file", str(other))
    parts.live_alerts.take()
    assert [one.name for one in parts.alerts.in_force.policy.channels] == ["night"]
    parts.live.update("alerts_file", "")
    parts.live_alerts.take()
    assert parts.alerts.in_force.policy.channels == []


@pytest.mark.slow
def test_a_running_service_takes_its_file_when_it_changes_and_on_sighup(tmp_path: Path) -> None:
    served = Served(tmp_path, before="import os; os.environ.pop('LOQUELA_ALERTS_FILE', None)")
    try:
        place = served.data / "alerts.toml"
        place.write_text(channel("team"))
        until(lambda: served.get("/alerts")["channels"] == ["team"])
        stamp = place.stat()
        place.write_text(channel("duty"))
        os.utime(place, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
        served.process.send_signal(signal.SIGHUP)
        until(lambda: served.get("/alerts")["channels"] == ["duty"])
        place.write_text("nonsense")
        until(lambda: served.get("/alerts")["refused"])
        assert served.get("/alerts")["channels"] == ["duty"]
    finally:
        assert served.stop() == 0
