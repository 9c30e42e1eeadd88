"""A run that is killed at any moment goes on and pays for no stored answer twice; the command line around it."""

from __future__ import annotations

import json
import os
import random
import re
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from llm_server import LlmServer, status
from qa_samples import PLACES, corpus, passage

from loquela.artifacts.examples import read_examples
from loquela.cli.main import answer as run_command
from waiting import until

PROGRAM = """
import sys
from pathlib import Path
from loquela.data.qa.generate import Work, generate
from loquela.monitoring.events import SilentBus
from loquela.recipe.qa_section import QaSection

folder, url = Path(sys.argv[1]), sys.argv[2]
section = QaSection(base_url=url, judge=True, concurrency=3, max_cost_usd=1.0)
output = folder / "out"
output.mkdir(exist_ok=True)
generate(Work(folder / "corpus", section, folder / "requests", SilentBus()), output)
"""
CHUNKS = 12


@pytest.fixture
def server() -> Iterator[LlmServer]:
    running = LlmServer()
    yield running
    running.close()


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-test-0123456789abcdef")


def test_a_killed_run_goes_on_and_pays_for_nothing_twice(tmp_path: Path, server: LlmServer) -> None:
    corpus(tmp_path / "corpus", count=CHUNKS)
    server.delay_seconds = 0.05
    chance = random.Random(5)
    kills = 0
    while True:
        running = subprocess.Popen([sys.executable, "-c", PROGRAM, str(tmp_path), server.url])
        seen = len(server.seen)
        until_asked(server, seen + chance.randint(3, 11), running)
        time.sleep(chance.random() * 0.05)
        if running.poll() is not None:
            assert running.returncode == 0
            break
        running.send_signal(signal.SIGKILL)
        running.wait(10)
        kills += 1
        stored_before = stored(tmp_path)
        assert kills < 30
    assert kills >= 2
    rows = list(read_examples(tmp_path / "out"))
    assert len({row.lineage.document for row in rows}) == CHUNKS
    # Every request that was answered and stored went out once; of those under way at a kill, at most 3 went again.
    sent = Counter(server.prompts)
    assert len(sent) == 2 * CHUNKS
    assert sum(sent.values()) - len(sent) <= 3 * kills
    assert stored_before <= set(stored(tmp_path))
    with sqlite3.connect(tmp_path / "requests" / "requests.sqlite") as store:
        states = dict(store.execute("SELECT state, COUNT(*) FROM requests GROUP BY state"))
        attempts = store.execute("SELECT SUM(attempts) FROM requests").fetchone()[0]
        in_doubt = store.execute("SELECT SUM(in_doubt_usd) FROM requests").fetchone()[0]
    assert states == {"ok": 2 * CHUNKS}
    assert attempts >= sum(sent.values())
    assert (in_doubt > 0) == (attempts > 2 * CHUNKS)


def until_asked(server: LlmServer, times: int, running: subprocess.Popen[str]) -> None:
    """Wait until the server was asked so often, or the program has ended."""
    until(lambda: running.poll() is not None or len(server.seen) >= times, every=0.005)


def stored(folder: Path) -> set[str]:
    with sqlite3.connect(folder / "requests" / "requests.sqlite") as store:
        return {key for (key,) in store.execute("SELECT key FROM requests WHERE state = 'ok'")}


# --- the command line --------------------------------------------------------------------------------------------


@pytest.fixture
def recipe(tmp_path: Path, server: LlmServer, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    texts = tmp_path / "texts"
    texts.mkdir()
    for place in PLACES:
        (texts / f"{place[0]}.txt").write_text(passage(*place) + "\n", encoding="utf-8")
    path = tmp_path / "qa.yaml"
    path.write_text(
        "name: qa\n"
        "data:\n  sources: [texts]\n  min_corpus_bytes: 100\n  validation_fraction: 0.2\n"
        f"qa:\n  base_url: {server.url}\n  judge: false\n",
        encoding="utf-8",
    )
    return path


def told(capture: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    capture.readouterr()
    code = run_command(arguments)
    out, err = capture.readouterr()
    return code, out, err


def test_the_command_from_estimate_to_examples(
    recipe: Path, server: LlmServer, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    code, out, _ = told(capsys, "generate-qa", str(recipe), "--dry-run", "--json")
    assert code == 0
    estimate = json.loads(out)["estimate"]
    assert (estimate["chunks_asked"], estimate["pairs"], estimate["model"]) == (6, 18, "claude-haiku-5-5")
    assert 0 < estimate["expected_usd"] < 0.01
    assert server.seen == []

    code, out, err = told(capsys, "generate-qa", str(recipe))
    assert code == 2
    assert "nobody is there to agree" in err
    assert "--yes" in err
    assert server.seen == []

    server.faults = [status(429, retry_after="0")]
    code, out, _ = told(capsys, "generate-qa", str(recipe), "--yes", "--resume", "auto")
    assert code == 0
    assert "18 pairs of 6 chunks" in out
    assert "never more than   $1.0000" in out
    (folder,) = (tmp_path / "data" / "artifacts" / "qa").glob("[0-9a-f]*")
    rows = list(read_examples(folder))
    assert len(rows) == 36 + 2
    log = next(path for path in (tmp_path / "data" / "runs").rglob("llm_interaction.log"))
    assert len(log.read_text().splitlines()) == 7

    calls = len(server.seen)
    code, out, _ = told(capsys, "generate-qa", str(recipe), "--yes", "--resume", "never", "--json")
    assert code == 0
    assert json.loads(out)["run"]["manifest"]["stages"]["qa"]["reused"] is True
    assert len(server.seen) == calls


def test_a_recipe_without_a_key_fails_before_anything_is_read(
    recipe: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("ANTHROPIC_API_KEY")
    code, _, err = told(capsys, "generate-qa", str(recipe), "--yes", "-q")
    assert code == 4
    assert "the variable ANTHROPIC_API_KEY is not set" in err
    assert not (tmp_path / "data" / "artifacts").exists()


def test_a_recipe_without_the_section(recipe: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recipe.write_text("data: {sources: [texts], min_corpus_bytes: 100}\n")
    code, _, err = told(capsys, "generate-qa", str(recipe), "--yes")
    assert code == 2
    assert "the recipe has no section qa" in err


def test_ctrl_c_says_how_to_go_on(recipe: Path, server: LlmServer, tmp_path: Path) -> None:
    server.delay_seconds = 0.4
    program = [sys.executable, "-m", "loquela", "generate-qa", str(recipe), "--yes", "-q", "--set", "qa.concurrency=1"]
    running = subprocess.Popen(
        program, cwd=tmp_path, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env={**os.environ}
    )
    until_asked(server, 2, running)
    running.send_signal(signal.SIGINT)
    _, err = running.communicate(timeout=200)
    assert running.returncode == 75
    assert re.search(r"stopped while asking http:\S+ \(SIGINT\)", err)
    assert "--resume auto" in err
    answered = server.answered
    assert answered >= 1
    server.delay_seconds = 0.0
    done = subprocess.run([*program, "--resume", "auto"], cwd=tmp_path, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr
    assert server.answered == 6
    assert len(set(server.prompts)) == len(server.prompts) == 6
