"""Whole runs of a tiny recipe: as a program, in this process, and what they leave on disk."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import yaml
from safetensors.numpy import load_file

import loquela
from loquela.core.atomic import TEMPORARY_PREFIX

PROGRAM = (sys.executable, "-m", "loquela")
PEOPLE = ("the fox", "an old man", "la mujer", "the river", "a small bird", "el zorro", "my sister")
DEEDS = ("walked to the house", "dreamt of the sea", "opened the door", "cantó una canción", "found a stone")
PLACES = ("in the morning", "near the wood", "cerca del río", "when the rain stopped", "after a long year")

RECIPE = {
    "name": "tiny",
    "data": {"sources": ["story.txt"], "document_bytes": 256, "validation_fraction": 0.1, "corpus_size_mb": 1},
    "tokenizer": {"method": "bpe", "vocab_size": 300},
    "model": {
        "num_layers": 1, "d_model": 16, "num_heads": 2, "dim_feedforward": 32, "max_sequence_length": 32
    },
    "train": {
        "epochs": 2, "batch_size": 16, "gradient_accumulation_steps": 1, "checkpoint_every_steps": 4,
        "learning_rate": 0.003, "log_every_steps": 2,
    },
    "evaluate": {"prompts": ["the fox"], "sample_tokens": 4, "metrics": ["perplexity"]},
    "compute": {"device": "cpu", "threads": 1, "linear_kernel": "torch", "compile": "off"},
}  # fmt: skip


def story(sentences: int = 200, first: int = 0) -> str:
    """A text of that many different sentences, about 40 bytes each, ten to a paragraph."""
    lines = []
    for n in range(first, first + sentences):
        who, what, where = PEOPLE[n % 7], DEEDS[(n // 7) % 5], PLACES[(n // 3) % 5]
        lines.append(f"{who} {what} {where}, {n} times.\n" + ("\n" if n % 10 == 9 else ""))
    return "".join(lines)


def make_home(folder: Path, **changes: object) -> Path:
    """A working directory with `story.txt` and `tiny.yaml`; `changes` are merged into the recipe's sections."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "story.txt").write_text(story(), encoding="utf-8")
    write_recipe(folder, **changes)
    return folder


def write_recipe(folder: Path, **changes: object) -> Path:
    recipe = json.loads(json.dumps(RECIPE))
    for section, values in changes.items():
        recipe[section] = {**recipe[section], **values} if isinstance(values, dict) else values
    path = folder / "tiny.yaml"
    path.write_text(yaml.safe_dump(recipe), encoding="utf-8")
    return path


def environment(home: Path) -> dict[str, str]:
    return {
        **os.environ,
        "OMP_NUM_THREADS": "1",
        "NO_COLOR": "1",
        "PYTHONUNBUFFERED": "1",
        "COLUMNS": "200",
        "XDG_STATE_HOME": str(home / "state"),
    }


@dataclass
class Outcome:
    code: int
    out: str
    err: str


def program(home: Path, *arguments: str, timeout: float = 120) -> Outcome:
    """`loquela …` as a process of its own, without a terminal."""
    done = subprocess.run(
        [*PROGRAM, *arguments], cwd=home, env=environment(home), stdin=subprocess.DEVNULL, capture_output=True,
        text=True, timeout=timeout, check=False,
    )  # fmt: skip
    assert "Traceback" not in done.stderr, done.stderr
    return Outcome(done.returncode, done.stdout, done.stderr)


def signalled_at(home: Path, line: str, number: signal.Signals, *arguments: str, delay: float = 0.0) -> Outcome:
    """Start `loquela …`, send it `number` when its progress shows `line` (and `delay` seconds later), wait."""
    with subprocess.Popen(
        [*PROGRAM, *arguments], cwd=home, env=environment(home), stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        said = []
        assert process.stderr is not None
        for text in process.stderr:
            said.append(text)
            if text.startswith(line):
                try:
                    process.wait(timeout=delay) if delay else None
                except subprocess.TimeoutExpired:
                    pass
                process.send_signal(number)
                break
        out, err = process.communicate(timeout=120)
    return Outcome(process.returncode, out, "".join(said) + err)


def run_here(home: Path, monkeypatch_chdir, overrides=None, **options) -> loquela.api.Run:
    """`loquela.run` of the recipe in `home`, in this process, without output."""
    monkeypatch_chdir(home)
    return loquela.run("tiny.yaml", overrides, quiet=True, **options)


def runs(home: Path) -> list[Path]:
    """Run folders, oldest first."""
    return sorted((home / "data" / "runs").iterdir(), key=lambda path: (path / "recipe.yaml").stat().st_ctime_ns)


def weights(run: Path, name: str = "final"):
    return {key: tensor.tobytes() for key, tensor in load_file(run / name / "model.safetensors").items()}


def read_json(path: Path):
    return json.loads(path.read_text(encoding="utf-8"))


def status_of(run: Path):
    return read_json(run / "status.json")


def events_of(run: Path):
    return [json.loads(line) for line in (run / "events.jsonl").read_text(encoding="utf-8").splitlines()]


def leftovers(home: Path) -> list[Path]:
    """Temporary files and folders below the output directory."""
    return [p for p in (home / "data").rglob("*") if p.name.startswith((TEMPORARY_PREFIX, ".old-", "damaged-"))]


def snapshot(folder: Path) -> dict[str, tuple[int, int]]:
    """Size and time of change of everything below a folder."""
    return {
        path.relative_to(folder).as_posix(): (path.stat().st_size, path.stat().st_mtime_ns)
        for path in sorted(folder.rglob("*"))
    }
