"""Settings that change while the service runs: what may, what may not, and files that cannot be used."""

import os
import signal

import pytest

from loquela.core.errors import RecipeError
from loquela.jobs.settings import ServiceSettings, load_settings
from loquela.service.configuration_adaptor import ConfigurationAdaptor
from loquela.service.live_settings import LIVE, watch_settings
from served import Served
from waiting import until


def events_of(parts, name):
    return [event.data for event in parts.events.after(0) if event.name == f"service.settings_{name}.v1"]


@pytest.fixture
def live(parts):
    return parts.live


def test_get_update_watch(live, parts, owner):
    told = []
    watch = live.watch(told.append)
    assert live.get("max_streams_per_key") == 16
    assert live.update("max_streams_per_key", 3) and not live.update("max_streams_per_key", 3)
    assert live.get("max_streams_per_key") == parts.settings.max_streams_per_key == 3
    assert told == [frozenset({"max_streams_per_key"})]
    assert events_of(parts, "changed") == [{"max_streams_per_key": {"from": 16, "to": 3}}]
    assert parts.audit.page(action="settings.change")[0].outcome == "done"
    assert live.unwatch(watch) and not live.unwatch(watch)
    live.update("max_body_bytes", 1024)
    assert owner.post("/runs/plan", json={"recipe": "x" * 2000}).status_code == 413
    assert len(told) == 1


def test_by_component(live, parts):
    adaptor = ConfigurationAdaptor(live)
    of_log, of_all = [], []
    adaptor.watch_config("log", of_log.append)
    adaptor.watch_config("service", of_all.append)
    assert adaptor.get_config("log", "level") == adaptor.get_config("service", "log_level") == "info"
    assert adaptor.update_config("log", "level", "error") and not adaptor.update_config("log", "level", "error")
    assert adaptor.update_config("max", "streams", 5)
    assert (of_log, of_all) == ([{"level": "error"}], [{"log_level": "error"}, {"max_streams": 5}])
    with pytest.raises(RecipeError, match="no such setting 'log_lvel'; did you mean 'log_level'"):
        adaptor.get_config("log", "lvel")


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [
        ("max_streamz", 3, "no such setting 'max_streamz'; did you mean 'max_streams'"),
        ("max_streams", 0, "max_streams cannot be that: Input should be greater than or equal to 1"),
        ("port", 9, "port stays: it is taken when the service starts"),
        ("database_url", "sqlite:///other.db", "database_url stays"),
        ("allowed_hosts", ["evil.test"], "an allow-list grows only when the service starts again"),
        ("allowed_sources", ["builtin:", "gutenberg:", "https:", "/"], "an allow-list grows only"),
        ("allowed_credentials", ["aws"], "an allow-list grows only"),
        ("failures_per_minute", 31, "it rises only"),
        ("failures_per_minute", 0, "it rises only"),
        ("reads_per_minute", 0, "a limit is lifted only"),
        ("log_texts", True, "it is switched on only"),
    ],
)
def test_what_may_not_change_stays(live, parts, key, value, says):
    parts.settings.failures_per_minute = 30
    before = parts.settings.model_copy(deep=True)
    with pytest.raises(RecipeError, match=says):
        live.update(key, value)
    assert parts.settings == before and events_of(parts, "changed") == []


@pytest.mark.parametrize(
    ("key", "value"), [("allowed_sources", ["builtin:"]), ("failures_per_minute", 3), ("reads_per_minute", 9)]
)
def test_security_may_tighten(live, parts, key, value):
    parts.settings.failures_per_minute = 30
    assert live.update(key, value) and getattr(parts.settings, key) == value


def test_a_shorter_list_and_a_lower_limit_hold_at_once(live, owner, client_of):
    assert owner.post("/runs/plan", json={"recipe": {"data": {"sources": ["builtin:stories"]}}}).status_code == 200
    live.update("allowed_sources", ["https:"])
    refused = owner.post("/runs/plan", json={"recipe": {"data": {"sources": ["builtin:stories"]}}})
    assert refused.status_code == 400 and "no source that requests may name here" in refused.json()["error"]["message"]
    live.update("reads_per_minute", 2)
    reader = client_of("read")
    assert [reader.get("/runs").status_code for _ in range(3)] == [200, 200, 429]


def test_every_live_setting_is_one():
    assert set(ServiceSettings.model_fields) >= LIVE


def written(file, text):
    file.write_text(text)
    return file


def test_a_file_that_cannot_be_used_changes_nothing_and_says_so(parts, tmp_path):
    file = written(tmp_path / "service.toml", "max_streams = 7\n")
    given = {"data": str(parts.settings.data)}
    watched = watch_settings(parts.live, lambda: load_settings(file, {}, given), [file])
    watched.stop()
    watched.reload()
    assert parts.settings.max_streams == 7
    for text, says in (
        ("max_streams = ", "cannot be read as settings"),
        ("max_streams = -1", "max_streams from"),
        ("max_streamz = 1", "no such setting"),
        ("max_streams = 8\nallowed_hosts = ['evil.test']", "an allow-list grows only"),
    ):
        written(file, text)
        watched.reload()
        assert says in str(events_of(parts, "refused")[-1])
    assert (parts.settings.max_streams, parts.settings.allowed_hosts) == (8, [])
    file.chmod(0o666)
    watched.reload()
    assert "others may write service.toml" in events_of(parts, "refused")[-1]["error"]
    file.unlink()
    file.symlink_to(written(tmp_path / "planted.toml", "max_streams = 1\n"))
    watched.reload()
    assert "a link that leads elsewhere" in events_of(parts, "refused")[-1]["error"]
    assert parts.settings.max_streams == 8
    assert [entry.outcome for entry in parts.audit.page(action="settings.change")].count("denied") == 6


def test_a_running_service_reads_its_file_again_when_it_changes_and_on_sighup(tmp_path, monkeypatch):
    file = written(tmp_path / "my service.toml", 'log_level = "info"\n')
    served = Served(tmp_path, arguments=("--settings", str(file)))

    def told():
        return [each for each in served.get("/events?limit=500")["events"] if "settings" in each["name"]]

    def until_told(count):
        until(lambda: len(told()) == count)
        return told()

    try:
        written(file, "max_streams_per_key = 1\n")
        assert until_told(1)[0]["data"] == {"max_streams_per_key": {"from": 16, "to": 1}}
        stamp = file.stat()
        file.write_text("max_streams_per_key = 2\n")
        os.utime(file, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
        served.process.send_signal(signal.SIGHUP)
        assert until_told(2)[1]["data"] == {"max_streams_per_key": {"from": 1, "to": 2}}
    finally:
        assert served.stop() == 0
