"""`loquela alerts`: rules in force, a trial of every channel, what a run has told."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from channel_servers import HttpServer, answer
from loquela.cli.main import answer as carry_out
from loquela.cli.run_result import show_alerts
from loquela.monitoring.alerts.trial import trial
from loquela.runs.alerting.log import Delivered, write_delivered


@pytest.fixture
def server() -> Iterator[HttpServer]:
    made = HttpServer()
    yield made
    made.close()


@pytest.fixture
def policy_file(server: HttpServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LOQUELA_CREDENTIAL_SLACK", f"{server.url}/secret-part")
    monkeypatch.setenv("LOQUELA_CREDENTIAL_HOOK", "secret-part")
    place = tmp_path / "my alerts.toml"
    place.write_text(
        "allow_private_addresses = true\n"
        '[[channels]]\nname = "team"\nkind = "slack"\ncredential = "slack"\n'
        f'[[channels]]\nname = "own"\nkind = "webhook"\ncredential = "hook"\nurl = "{server.url}/hook"\n'
        "[rules.nan]\nenabled = false\n"
        '[quiet_hours]\nstart = "22:00"\nend = "07:00"\ntime_zone = "Europe/Berlin"\n'
    )
    return place


def test_rules_and_channels_are_shown(policy_file: Path, capsys: pytest.CaptureFixture) -> None:
    assert carry_out(["alerts", "rules", "--file", str(policy_file)]) == 0
    said = capsys.readouterr().out
    assert "the loss jumped (factor 2, window 50, least 10, calm 5)" in said
    assert [line.split()[1] for line in said.splitlines() if line.split()[:1] == ["nan"]] == ["off"]
    assert "quiet from 22:00 to 07:00, Europe/Berlin" in said
    assert "secret-part" not in said
    assert carry_out(["alerts", "rules", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["channels"] == []
    assert carry_out(["alerts", "rules"]) == 0
    assert "no channel: nothing is sent" in capsys.readouterr().out


def test_every_channel_is_tried(policy_file: Path, server: HttpServer, capsys: pytest.CaptureFixture) -> None:
    assert carry_out(["alerts", "test", "--file", str(policy_file)]) == 0
    assert capsys.readouterr().out == "✔ team (slack)\n✔ own (webhook)\n"
    assert [path for path, _, _ in server.got] == ["/secret-part", "/hook"]
    server.plans = [answer(403)]
    assert carry_out(["alerts", "test", "--file", str(policy_file), "--channel", "team"]) == 4
    said = capsys.readouterr().out
    assert "✘ team (slack): the alert channel team could not be told: 127.0.0.1 answers 403" in said
    assert "secret-part" not in said
    server.plans = [answer(200), answer(500)]
    assert carry_out(["alerts", "test", "--file", str(policy_file), "--json"]) == 4
    results = json.loads(capsys.readouterr().out)["channels"]
    assert [(one["channel"], one["sent"]) for one in results] == [("team", True), ("own", False)]


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--channel", "teem"], "no such alert channel 'teem'; did you mean 'team'"),
        (["--recipe", "{file}"], "give --recipe or --file, not both"),
    ],
)
def test_what_cannot_be_tried(policy_file: Path, more: list[str], said: str, capsys: pytest.CaptureFixture) -> None:
    arguments = [part.format(file=policy_file) for part in more]
    assert carry_out(["alerts", "test", "--file", str(policy_file), *arguments]) == 2
    assert said in capsys.readouterr().err


def test_nothing_to_try(capsys: pytest.CaptureFixture, tmp_path: Path) -> None:
    recipe = tmp_path / "my recipe.yaml"
    recipe.write_text("name: mine\n")
    for more in ([], ["--recipe", str(recipe)]):
        assert carry_out(["alerts", "test", *more]) == 2
        assert "there is no alert channel to try" in capsys.readouterr().err


def test_what_a_run_told(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    folder = tmp_path / "data" / "runs" / "mine-1"
    folder.mkdir(parents=True)
    (folder / "status.json").write_text("{}")
    arguments = ["alerts", "list", str(folder), "--output-directory", str(tmp_path / "data")]
    assert carry_out(arguments) == 0
    assert capsys.readouterr().out == "nothing was told of this run\n"
    told = Delivered(channel="team", outcome="failed", error="nobody answers", notification=trial("mine-1", 1.0))
    write_delivered(folder, told)
    assert carry_out(arguments) == 0
    said = capsys.readouterr().out
    assert "a test of this alert channel" in said
    assert "failed: nobody answers" in said
    assert carry_out([*arguments, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["alerts"][0]["channel"] == "team"
    show_alerts(folder)
    assert capsys.readouterr().out.startswith("alerts: 0 sent, 1 not (nobody answers); loquela alerts list ")
