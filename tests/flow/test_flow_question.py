"""Which run to go on with: the question on a terminal, and the answers given beforehand."""

import os
import pty
import select
import shutil
import subprocess
import sys
import time

import flow_runs as flow
import pytest

import loquela


@pytest.fixture(scope="module")
def unfinished(tmp_path_factory):
    """A run that stopped after training: not complete, with checkpoints."""
    home = flow.make_home(tmp_path_factory.mktemp("unfinished"))
    before = os.getcwd()
    os.chdir(home)
    try:
        loquela.run("tiny.yaml", until="train", quiet=True)
    finally:
        os.chdir(before)
    return home


@pytest.fixture
def copy(unfinished, tmp_path, monkeypatch):
    home = tmp_path / "copy"
    shutil.copytree(unfinished, home)
    monkeypatch.chdir(home)
    return home


# Takes the pseudo-terminal as its own, so that the byte of Ctrl+C on it becomes a signal, as at a person's; whoever
# started the tests in the background made them ignore that signal, which a child would inherit.
ON_ITS_TERMINAL = (
    "import fcntl, os, signal, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); "
    "signal.signal(signal.SIGINT, signal.SIG_DFL); os.execv(sys.argv[1], sys.argv[1:])"
)


def on_a_terminal(home, answer, *arguments):
    """Carry out a command on a pseudo-terminal, answer its first question; what it showed, and its exit code."""
    terminal, side = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", ON_ITS_TERMINAL, *flow.PROGRAM, *arguments],
        cwd=home, env={**flow.environment(home), "TERM": "dumb"},
        stdin=side, stdout=side, stderr=side, start_new_session=True,
    )  # fmt: skip
    os.close(side)
    shown, answered, deadline = b"", False, time.monotonic() + 120
    try:
        while time.monotonic() < deadline:
            if select.select([terminal], [], [], 0.2)[0]:
                try:
                    data = os.read(terminal, 65536)
                except OSError:  # Linux says so when the other side has closed
                    break
                if not data:
                    break
                shown += data
            if not answered and b"Go on with it?" in shown:
                os.write(terminal, answer)
                answered = True
        return process.wait(timeout=60), shown.decode("utf-8", "replace")
    finally:
        process.kill()
        process.wait()
        os.close(terminal)


def test_yes_goes_on_with_the_run(copy):
    code, shown = on_a_terminal(copy, b"y\n", "train", "tiny.yaml", "-q")
    assert code == 0, shown
    (run,) = flow.runs(copy)
    assert f"{run.name} was not finished and has checkpoints. Go on with it?" in shown
    assert len(flow.read_json(run / "manifest.json")["resumed"]) == 1


def test_no_starts_another(copy):
    code, shown = on_a_terminal(copy, b"n\n", "train", "tiny.yaml", "-q")
    assert code == 0, shown
    assert len(flow.runs(copy)) == 2
    assert all(flow.read_json(run / "manifest.json")["resumed"] == [] for run in flow.runs(copy))


@pytest.mark.slow
def test_ctrl_c_at_the_question_changes_nothing(copy):
    before = flow.snapshot(copy / "data")
    code, shown = on_a_terminal(copy, b"\x03", "train", "tiny.yaml", "-q")
    assert code == 130
    assert "Traceback" not in shown
    assert flow.snapshot(copy / "data") == before


def test_nobody_to_ask_is_a_new_run(copy, here):
    assert here("train", "tiny.yaml", "-q").code == 0
    assert len(flow.runs(copy)) == 2


def test_never_is_a_new_run_and_a_path_is_that_run(copy, here):
    (first,) = flow.runs(copy)
    assert here("train", "tiny.yaml", "-q", "--resume", "never").code == 0
    assert len(flow.runs(copy)) == 2
    assert here("train", "tiny.yaml", "-q", "--resume", str(first)).code == 0
    assert here("train", "tiny.yaml", "-q", "--resume", first.name).code == 0
    assert len(flow.runs(copy)) == 2
    assert len(flow.read_json(first / "manifest.json")["resumed"]) == 2


def test_an_unknown_run_names_the_nearest_and_changes_nothing(copy, here):
    (first,) = flow.runs(copy)
    before = flow.snapshot(copy / "data")
    wrong = here("run", "tiny.yaml", "--resume", first.name[:-1] + "x")
    assert wrong.code == 2
    assert "[RUN_NOT_FOUND]" in wrong.err
    assert f"did you mean '{first.name}'?" in wrong.err
    assert "loquela runs list" in wrong.err
    assert flow.snapshot(copy / "data") == before


def test_the_recipe_may_say_so_itself(copy, here):
    (first,) = flow.runs(copy)
    assert here("train", "tiny.yaml", "-q", "--set", "resume_from_checkpoint=true").code == 0
    assert flow.runs(copy) == [first]
