"""Help is quick and lazy; every outcome has its exit code, its message, its JSON."""

from __future__ import annotations

import importlib
import json
import os
import pty
import re
import signal
import subprocess
import sys
from pathlib import Path

import click
import pytest
from cli_harness import Loquela

from loquela.cli.failures import as_known, tell
from loquela.cli.main import COMMANDS, answer, group
from loquela.core.errors import DataError, ErrorCode, Interrupted, ProofError, ResourceError

HEAVY = (
    "torch",
    "transformers",
    "tokenizers",
    "sentencepiece",
    "numpy",
    "matplotlib",
    "pydantic",
    "yaml",
    "rich",
    "httpx",
)


def program(*arguments: str, cwd: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", "from loquela.cli.main import main; main()", *arguments],
        cwd=cwd,
        env={**os.environ, "XDG_STATE_HOME": str(cwd / "state"), **variables},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_help_loads_nothing_heavy(tmp_path: Path) -> None:
    code = (
        "import sys\nfrom loquela.cli.main import answer\nanswer(['--help'])\n"
        f"print('loaded:', [name for name in {HEAVY!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert "Train, evaluate and use language models" in done.stdout
    assert done.stdout.strip().endswith("loaded: []")


@pytest.mark.parametrize("name", [name for name in COMMANDS if name not in ("config", "runs")])
def test_the_help_of_a_command_loads_no_tensor_library(name: str, tmp_path: Path) -> None:
    code = (
        f"import sys\nfrom loquela.cli.main import answer\nanswer([{name!r}, '--help'])\n"
        "print('loaded:', [name for name in ('torch', 'transformers', 'rich') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.strip().endswith("loaded: []")


def every_command() -> list[tuple[str, click.Command]]:
    found = []
    for name in COMMANDS:
        command = importlib.import_module(COMMANDS[name][0]).command
        found.append((name, command))
        if isinstance(command, click.Group):
            found += [(f"{name} {below}", child) for below, child in command.commands.items()]
    return found


@pytest.mark.parametrize(("name", "command"), every_command())
def test_every_command_has_help_an_example_and_json(name: str, command: click.Command) -> None:
    assert command.help
    assert "Example:" in (command.epilog or "")
    assert re.search(rf"loquela (--server \S+ )?{name}", command.epilog or "")
    if not isinstance(command, click.Group):
        assert "as_json" in [parameter.name for parameter in command.params]
        assert all(option.help for option in command.params if isinstance(option, click.Option))


@pytest.mark.parametrize("name", COMMANDS)
def test_the_table_says_what_the_command_says(name: str) -> None:
    command = group.get_command(click.Context(group), name)
    assert command is not None
    assert command.name == name
    assert (command.help or "").splitlines()[0] == COMMANDS[name][1]


def test_version(loquela: Loquela) -> None:
    done = loquela("--version")
    assert (done.code, done.out) == (0, "loquela, version 0.1.0\n")


def test_an_unknown_command_names_the_nearest(loquela: Loquela) -> None:
    done = loquela("trian")
    assert done.code == 2
    assert "no such command 'trian'; did you mean 'train'? known: alerts, artifacts, audit, " in done.err
    assert "to mend it: see loquela --help" in done.err
    assert done.out == ""


def test_wrong_options(loquela: Loquela) -> None:
    done = loquela("validate", "--sett", "a=1")
    assert done.code == 2
    assert "Usage: loquela validate [OPTIONS] RECIPE" in done.err
    assert "No such option" in done.err
    assert "see loquela validate --help" in done.err
    assert "Missing argument 'RECIPE'" in loquela("run").err


def test_errors_as_json_are_one_object_on_stdout(loquela: Loquela) -> None:
    for arguments in (("trian", "--json"), ("validate", "none.yaml", "--json"), ("runs", "show", "x", "--json")):
        done = loquela(*arguments)
        assert done.code == 2
        assert set(done.error) == {"code", "message", "remedy", "retryable", "failure_class", "details"}
        assert done.error["remedy"]


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (DataError(ErrorCode.CORRUPTION, "it is damaged", "delete it"), 3),
        (ResourceError(ErrorCode.DISK_FULL, "no room", "free some", retryable=True), 4),
        (ProofError(ErrorCode.VALIDATION_FAILED, "too slow", "smaller"), 5),
        (Interrupted(ErrorCode.INTERRUPTED, "stopped", "go on with --resume auto"), 75),
    ],
)
def test_known_errors(error: Exception, code: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert tell(error, as_json=False) == code
    told = capsys.readouterr()
    assert told.out == ""
    if code == 75:
        assert told.err == "stopped: stopped\n  to go on: go on with --resume auto\n"
    else:
        assert told.err == f"error [{error.code}]: {error.message}\n  to mend it: {error.remedy}\n"
    assert tell(error, as_json=True) == code
    assert json.loads(capsys.readouterr().out)["error"]["message"] == error.message


def test_our_bug_goes_to_a_log_and_not_to_the_screen(
    loquela: Loquela, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("loquela.cli.validate.load", lambda recipe, overrides: 1 // 0)
    done = loquela("validate", "x.yaml")
    assert done.code == 70
    assert "ZeroDivisionError: integer division or modulo by zero; this is a bug of Loquela" in done.err
    assert "Traceback" not in done.err + done.out
    (log,) = (tmp_path / "state" / "loquela").iterdir()
    assert f"report it with {log}" in done.err
    assert "Traceback (most recent call last)" in log.read_text()
    assert loquela("validate", "x.yaml", "--json").error["code"] == "INTERNAL"


def test_a_crash_log_finds_another_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    log = Path(as_known(ValueError("odd")).details["log"])
    assert log.parent == tmp_path
    assert "ValueError: odd" in log.read_text()


def test_ctrl_c_outside_a_run(loquela: Loquela, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(recipe: Path, overrides: tuple[str, ...]) -> None:
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr("loquela.cli.validate.load", interrupted)
    done = loquela("validate", "x.yaml")
    assert done.code == 130
    assert "stopped before it was done" in done.err


def test_the_program_itself(tmp_path: Path) -> None:
    folder = tmp_path / "a folder with blanks"
    folder.mkdir()
    made = program("init", "my recipe.yaml", cwd=folder)
    assert (made.returncode, made.stderr) == (0, "")
    done = program("validate", "my recipe.yaml", "--set", "train.epochs=2", "--json", cwd=folder, LOQUELA__SEED="9")
    assert done.returncode == 0
    answered = json.loads(done.stdout)
    assert (answered["recipe"]["train"]["epochs"], answered["recipe"]["seed"]) == (2, 9)
    assert answered["origins"]["seed"] == {"kind": "environment", "where": "LOQUELA__SEED"}
    failed = program("validate", "my recipe.yaml", "--set", "train.epochs=0", cwd=folder)
    assert (failed.returncode, failed.stdout) == (2, "")
    assert failed.stderr.startswith("error [CONFIG_INVALID]: --set train.epochs=0: train.epochs: 0 is not allowed")


def test_a_terminal_without_utf8_gets_question_marks(tmp_path: Path) -> None:
    done = program("config", "explain", "train.epochs", cwd=tmp_path, PYTHONIOENCODING="latin-1", PYTHONUTF8="0")
    assert done.returncode == 0
    assert "allowed:    a whole number ? 1 and ? 10000" in done.stdout


def test_a_closed_pipe_is_no_bug(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", "from loquela.cli.main import main; main()", "config", "show"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "XDG_STATE_HOME": str(tmp_path / "state")},
    )
    assert process.stdout is not None and process.stderr is not None
    process.stdout.close()
    complaint = process.stderr.read()
    process.stderr.close()
    process.wait(timeout=60)
    assert b"bug" not in complaint
    assert not (tmp_path / "state").exists()


@pytest.mark.parametrize(("no_color", "coloured"), [("", True), ("1", False)])
def test_colours_on_a_terminal_and_none_with_no_color(tmp_path: Path, no_color: str, coloured: bool) -> None:
    ours, theirs = pty.openpty()
    try:
        subprocess.run(
            [sys.executable, "-c", "from loquela.cli.main import main; main()", "validate", "none.yaml"],
            cwd=tmp_path,
            env={**os.environ, "NO_COLOR": no_color, "TERM": "xterm"},
            stderr=theirs,
            check=False,
            timeout=60,
        )
        said = os.read(ours, 4096)
    finally:
        os.close(ours)
        os.close(theirs)
    assert b"there is no recipe none.yaml" in said
    assert (b"\x1b[31m" in said) == coloured


@pytest.mark.parametrize("arguments", [(), ("runs",), ("config",)])
def test_a_group_alone_shows_its_help(loquela: Loquela, arguments: tuple[str, ...]) -> None:
    done = loquela(*arguments)
    assert done.code == 2
    assert done.err.startswith(" ".join(["Usage: loquela", *arguments]))
    assert "error" not in done.err.partition("\n\n")[0]
    assert "..." not in done.err.partition("Commands:")[2], "no sentence is cut"


def test_answer_returns_the_code_of_help() -> None:
    assert answer(["--help"]) == 0
