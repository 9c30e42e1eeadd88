"""`loquela credentials`: secrets come by prompt or standard input, and never go out again."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from cli_harness import Loquela

from loquela.security.credentials import lookup

SESAME = "opensesame-42"


@pytest.fixture(autouse=True)
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return tmp_path / "config"


def _pipe(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(text))


def test_from_set_to_remove(loquela: Loquela, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "no credential is kept" in loquela("credentials", "list").out
    _pipe(monkeypatch, f"reader\n{SESAME}\n")
    done = loquela("credentials", "set", "library", "--kind", "basic", "--host", "db.example.org")
    assert done.code == 0 and "kept library (basic)" in done.out
    assert lookup.get("library").secret("password") == SESAME
    listed = loquela("credentials", "list", "--json").json["credentials"]
    assert [(c["name"], c["kind"], c["host"]) for c in listed] == [("library", "basic", "db.example.org")]
    shown = loquela("credentials", "list")
    assert "library" in shown.out and "db.example.org" in shown.out
    assert loquela("credentials", "rotate", "--json").json == {"credentials": 1}
    assert "1 credentials are sealed" in loquela("credentials", "rotate").out
    assert SESAME not in shown.out + shown.err + str(listed)
    assert loquela("credentials", "remove", "library").out == "removed library\n"
    again = loquela("credentials", "remove", "library", "--json")
    assert again.code == 2 and "the store keeps no credential 'library'" in again.error["message"]


def test_json_answers_hold_no_secret(loquela: Loquela, monkeypatch: pytest.MonkeyPatch) -> None:
    _pipe(monkeypatch, SESAME)
    done = loquela("credentials", "set", "api", "--json")
    assert done.json["name"] == "api" and SESAME not in done.out
    assert loquela("credentials", "remove", "api", "--json").json == {"removed": "api"}


def test_wrong_number_of_lines(loquela: Loquela, monkeypatch: pytest.MonkeyPatch) -> None:
    _pipe(monkeypatch, f"{SESAME}\n")
    done = loquela("credentials", "set", "library", "--kind", "basic")
    assert done.code == 2
    assert r"a basic credential has 2 line(s): username, password; 1 came" in done.err
    assert SESAME not in done.err + done.out


def test_on_a_terminal_it_is_asked_for_without_echo(loquela: Loquela, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, bool]] = []

    def prompt(text: str, *, hide_input: bool, err: bool) -> str:
        asked.append((text, hide_input))
        return f"{text}-value"

    terminal = io.StringIO()
    terminal.isatty = lambda: True
    monkeypatch.setattr("sys.stdin", terminal)
    monkeypatch.setattr("click.prompt", prompt)
    assert loquela("credentials", "set", "bucket", "--kind", "key_pair").code == 0
    assert asked == [("access_key_id", False), ("secret_access_key", True)]
    assert lookup.get("bucket").secret("secret_access_key") == "secret_access_key-value"


def test_a_secret_on_the_command_line_is_not_taken(loquela: Loquela) -> None:
    done = loquela("credentials", "set", "api", SESAME)
    assert done.code == 2
    bad = loquela("credentials", "set", "My Key")
    assert bad.code == 2 and "name has small letters" in bad.err
