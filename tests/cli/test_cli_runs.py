"""One tiny real run, made by the program itself, and every command that looks at it."""

from __future__ import annotations

import io
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from cli_harness import Loquela, Outcome
from click.testing import CliRunner

from loquela.cli.execution import ask
from loquela.cli.run_result import shown
from loquela.cli.watching import follow
from loquela.monitoring.events import EventBus, EventFile
from loquela.recipe.loading import load_recipe
from loquela.runs.lock import RunLock
from loquela.runs.status import load_status
from toy_run import make_run
from waiting import until

TINY = """\
name: tiny
data: {sources: "builtin:stories", stories: 40}
tokenizer: {vocab_size: 500}
model: {num_layers: 1, d_model: 16, num_heads: 2, dim_feedforward: 16, max_sequence_length: 16}
train: {epochs: 1, max_steps: 4, batch_size: 4, checkpoint_every_steps: 2, log_every_steps: 1}
evaluate:
  sample_tokens: 4
  budgets: {latency_p95_ms: 1e5, tokens_per_second: 1e-3, rss_mb: 1e5, peak_mb: 1e5}
compute: {threads: 1}
"""


def start(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", "from loquela.cli.main import main; main()", *arguments],
        cwd=folder,
        env={**os.environ, "XDG_STATE_HOME": str(folder / "state"), "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a recipe and its finished run; tests must not change the run."""
    folder = tmp_path_factory.mktemp("cli runs")
    (folder / "tiny.yaml").write_text(TINY)
    process = start(folder, "run", "tiny.yaml", "--resume", "never", "--json")
    out, err = process.communicate(timeout=240)
    assert process.returncode == 0, out + err
    assert err == "", "--json shows no progress"
    (folder / "record.json").write_text(out)
    return folder


@pytest.fixture
def at_home(home: Path, loquela: Loquela, monkeypatch: pytest.MonkeyPatch) -> Loquela:
    monkeypatch.chdir(home)
    return loquela


def run_of(home: Path) -> Path:
    (directory,) = (home / "data" / "runs").iterdir()
    return directory


def test_run_as_json(home: Path) -> None:
    record = json.loads((home / "record.json").read_text())
    assert record["run_id"] == run_of(home).name
    assert record["status"]["current_phase"] == "complete"
    assert record["status"]["validation_results"]["constitutional_compliance"] is True


def test_the_saved_recipe_is_the_one_that_ran(home: Path) -> None:
    saved = run_of(home) / "recipe.yaml"
    assert load_recipe(saved).recipe == load_recipe(home / "tiny.yaml").recipe
    assert "# file: tiny.yaml:3" in saved.read_text()


def test_evaluate_uses_what_is_there_and_shows_the_result(home: Path, at_home: Loquela) -> None:
    done = at_home("evaluate", "tiny.yaml", "-q")
    assert done.code == 0
    for part in (
        "samples:",
        "inference budgets: met",
        "validation loss",
        "actual / predicted",
        "loquela generate tiny-",
    ):
        assert part in done.out
    assert done.err == ""
    events = [json.loads(line) for line in (run_of(home) / "events.jsonl").read_text().splitlines()]
    assert sum(event["name"] == "trainer.job.started.v1" for event in events) == 1, "nothing was trained again"


def test_progress_goes_to_stderr(at_home: Loquela) -> None:
    done = at_home("train", "tiny.yaml", "--resume", "auto")
    assert done.code == 0
    assert "unchanged since it was made" in done.err
    assert "unchanged since it was made" not in done.out


def test_list_and_show(home: Path, at_home: Loquela) -> None:
    listed = at_home("runs", "list", "--json").json["runs"]
    assert [run["run_id"] for run in listed] == [run_of(home).name]
    assert run_of(home).name in at_home("runs", "list").out
    text = at_home("runs", "show", "latest").out
    for part in (f"{run_of(home).name}: ", "tokenizer", "inference budgets", "predicted"):
        assert part in text
    assert set(at_home("runs", "show", "tiny", "--json").json) == {"directory", "status", "manifest"}


def test_a_run_elsewhere_is_found_by_path_option_and_variable(
    home: Path, loquela: Loquela, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "no runs in data; start one" in loquela("runs", "list").out
    assert loquela("runs", "show", str(run_of(home))).code == 0
    assert loquela("runs", "show", "latest", "--output-directory", str(home / "data")).code == 0
    monkeypatch.setenv("LOQUELA__OUTPUT_DIRECTORY", str(home / "data"))
    assert loquela("runs", "show", "latest").code == 0


def test_an_unknown_run(at_home: Loquela) -> None:
    done = at_home("runs", "show", "tinny-2026")
    assert done.code == 2
    assert "no run 'tinny-2026' in data/runs" in done.err


def test_diff(home: Path, at_home: Loquela, tmp_path: Path) -> None:
    other = tmp_path / "other"
    shutil.copytree(run_of(home), other)
    manifest = json.loads((other / "manifest.json").read_text())
    manifest["run_id"] = "other"
    manifest["recipe"]["train"]["learning_rate"] = 0.01
    manifest["stages"]["train"]["digest"] = "0" * 64
    manifest["metrics_summary"]["validation_loss"] = 1.5
    (other / "manifest.json").write_text(json.dumps(manifest))
    found = at_home("runs", "diff", "latest", str(other), "--json").json
    assert found["recipe"] == [{"what": "train.learning_rate", "first": 0.0003, "second": 0.01}]
    assert [row["what"] for row in found["stages"]] == ["train"]
    assert [row["second"] for row in found["results"]] == [1.5]
    text = at_home("runs", "diff", "latest", str(other)).out
    assert "train.learning_rate" in text
    assert "hardware: the same" in text
    assert at_home("runs", "diff", "latest", "latest").out.count("the same") == 5


def test_verify_holds_and_fails(home: Path, at_home: Loquela, tmp_path: Path) -> None:
    done = at_home("verify", "latest")
    assert done.code == 0
    assert "proofs hold" in done.out
    damaged = tmp_path / "damaged"
    shutil.copytree(run_of(home), damaged)
    weights = next((damaged / "final").glob("*.safetensors"))
    data = bytearray(weights.read_bytes())
    data[-1] ^= 0xFF
    weights.write_bytes(bytes(data))
    failed = at_home("verify", str(damaged))
    assert failed.code == 5
    assert "FAILED  final whole" in failed.out
    assert "to mend it:" in failed.out
    as_json = at_home("verify", str(damaged), "--json")
    assert (as_json.code, as_json.json["passed"]) == (5, False)


def test_generate(at_home: Loquela, tmp_path: Path) -> None:
    options = ("--max-new-tokens", "5", "--seed", "3")
    streamed = at_home("generate", "latest", "--prompt", "The old", *options)
    assert streamed.code == 0
    assert streamed.out.startswith("The old")
    result = at_home("generate", "latest", "--prompt", "The old", *options, "--json").json
    assert streamed.out == "The old" + result["outputs"][0] + "\n"
    several = at_home("generate", "latest", "--count", "2", *options)
    assert "[1] " in several.out and "[2] " in several.out
    (tmp_path / "prompt.txt").write_text("Había una vez")
    assert at_home("generate", "latest", "--prompt-file", str(tmp_path / "prompt.txt"), *options).code == 0


def test_generate_refuses_before_loading(at_home: Loquela) -> None:
    done = at_home("generate", "no-such-run", "--max-new-tokens", "0")
    assert done.code == 2
    assert "max_new_tokens is 0" in done.err
    both = at_home("generate", "latest", "--prompt", "a", "--prompt-file", "b", "--json")
    assert "mutually exclusive" in both.error["message"]
    assert "no run 'no-such-run'" in at_home("generate", "no-such-run").err


def test_generate_a_batch(at_home: Loquela, tmp_path: Path) -> None:
    batch = tmp_path / "prompts.jsonl"
    batch.write_text('"The old"\n\n{"prompt_text": "La", "num_return_sequences": 2, "seed": 9}\n')
    options = ("--max-new-tokens", "5", "--seed", "3")
    lines = at_home("generate", "latest", "--batch", str(batch), *options).out.splitlines()
    assert len(lines) == 2
    assert json.loads(lines[0]) == at_home("generate", "latest", "--prompt", "The old", *options, "--json").json
    assert len(json.loads(lines[1])["outputs"]) == 2
    batch.write_text('"fine"\n{"prompt_text": 5}\n')
    wrong = at_home("generate", "latest", "--batch", str(batch))
    assert wrong.code == 2
    assert wrong.out == ""
    assert f"line 2 of {batch}: the request cannot be used: prompt_text is 5" in wrong.err
    batch.write_text("Once upon a time")
    assert f"line 1 of {batch} is not JSON" in at_home("generate", "latest", "--batch", str(batch)).err
    assert "no such file" in at_home("generate", "latest", "--batch", str(tmp_path / "absent")).err
    both = at_home("generate", "latest", "--batch", str(batch), "--prompt", "a")
    assert "--batch brings its own prompts" in both.err


def test_chat(at_home: Loquela, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    model = make_run(tmp_path / "model")

    def chat(said: bytes, *options: str) -> Outcome:
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(said)))
        return at_home("chat", str(model), "--max-new-tokens", "3", *options)

    done = chat(b"Hola\n/exit\nnever\n", "--json")
    assert done.code == 0
    answers = [json.loads(line) for line in done.out.splitlines()]
    names = ["finished", "messages_left_out", "notes", "prompt_tokens", "steps", "text"]
    assert [sorted(answer) for answer in answers] == [names]
    assert "note: the model has no chat template" in done.err
    assert chat(b"Hola\n").out.removesuffix("\n") == answers[0]["text"]
    assert "line 2 is not valid UTF-8" in chat(b"a\n\xff\n").err
    wrong = chat(b"", "--temperature", "-1")
    assert (wrong.code, "temperature is -1" in wrong.err) == (2, True)


def test_score(at_home: Loquela) -> None:
    result = at_home("score", "latest", "--text", "The man", "--top-k", "2", "--json").json
    assert len(result["surprisal"]) == len(result["tokens"]) == len(result["topk"])
    text = at_home("score", "latest", "--text", "The man", "--tokens").out
    assert text.startswith(f"loss {result['loss']:.4f} nats per token")
    assert "give exactly one of them" in at_home("score", "latest").err


def test_watch_a_finished_run(home: Path, at_home: Loquela) -> None:
    done = at_home("runs", "watch", "latest")
    assert done.code == 0
    assert run_of(home).name in done.out
    assert "training" in done.err
    assert at_home("runs", "watch", "latest", "--json").json["run_id"] == run_of(home).name


def test_following_sees_events_as_they_are_written(tmp_path: Path) -> None:
    bus = EventBus("r")
    bus.subscribe(EventFile(tmp_path / "events.jsonl"))
    bus.publish("a.first.v1", {})
    lock = RunLock(tmp_path)
    lock.__enter__()
    seen: list[str] = []
    watcher = threading.Thread(target=lambda: seen.extend(event.name for event in follow(tmp_path)))
    watcher.start()
    with (tmp_path / "events.jsonl").open("a") as stream:
        stream.write("{cut by a crash\n")
    bus.publish("a.second.v1", {})
    time.sleep(0.1)
    assert watcher.is_alive(), "a run that somebody works on is followed"
    bus.publish("a.last.v1", {})
    lock.__exit__(None, None, None)
    watcher.join(timeout=30)
    assert seen == ["a.first.v1", "a.second.v1", "a.last.v1"]


@pytest.mark.slow
def test_ctrl_c_saves_and_resuming_goes_on(tmp_path: Path) -> None:
    (tmp_path / "tiny.yaml").write_text(
        TINY.replace("max_steps: 4", "max_steps: 100000").replace("epochs: 1", "epochs: 9999")
    )
    process = start(tmp_path, "train", "tiny.yaml", "--resume", "never", "--json")
    until(lambda: list(tmp_path.glob("data/runs/*/checkpoints/*2/manifest.json")) or process.poll() is not None)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 75, out + err
    error = json.loads(out)["error"]
    assert error["code"] == "INTERRUPTED"
    assert "--resume" in error["remedy"]
    (directory,) = (tmp_path / "data" / "runs").iterdir()
    step = int(max(path.name for path in (directory / "checkpoints").iterdir() if path.name.isdigit()))
    again = start(tmp_path, "train", "tiny.yaml", "--resume", "auto", "--json", "--set", f"train.max_steps={step + 2}")
    out, err = again.communicate(timeout=120)
    assert again.returncode == 0, out + err
    assert json.loads(out)["directory"] == str(directory.relative_to(tmp_path))
    assert load_status(directory).completed_phases[-1] == "tokenizer_training"


def test_plan(at_home: Loquela) -> None:
    plan = at_home("plan", "tiny.yaml", "--json").json
    assert plan["steps_total"] == 4
    text = at_home("plan", "tiny.yaml").out
    assert f"{plan['parameters']:,}" in text
    for part in ("tokens/s", "minutes", "memory: total", "assumed  speed:"):
        assert part in text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"),
        (True, "True"),
        (1234567, "1,234,567"),
        (0.5, "0.5"),
        (3.0, "3"),
        (1234.56789, "1,234.5679"),
        ("a", "a"),
    ],
)
def test_numbers_for_people(value: object, text: str) -> None:
    assert shown(value) == text


@pytest.mark.parametrize(("typed", "answer"), [("\n", True), ("y\n", True), ("n\n", False)])
def test_the_question_whether_to_go_on(typed: str, answer: bool) -> None:
    runner = CliRunner()
    with runner.isolation(input=typed) as (_, err, _):
        assert ask("tiny was not finished and has checkpoints. Go on with it?") is answer
        assert b"Go on with it? [Y/n]" in err.getvalue()
