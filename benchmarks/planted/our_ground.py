"""Loquela on a tiny model: one whole run of a recipe, and by which proof or error code it was stopped."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import yaml

from loquela.core.errors import LoquelaError, ProofError
from loquela.finetuning.training.runner import TuningRunner
from loquela.recipe.loading import load_recipe
from loquela.runs.execution import RunRecord, execute
from planted.contract import Ours
from planted.material import QUESTIONS
from toy_bases import toy_base

Rows = list[dict[str, object]]


def rows_of(questions: Mapping[str, str] = QUESTIONS) -> Rows:
    return [{"prompt": question, "completion": answer} for question, answer in questions.items()]


def write_rows(folder: Path, rows: Rows | None = None) -> Path:
    path = folder / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in (rows_of() if rows is None else rows)))
    return path


def recipe(folder: Path, base: Path | None = None, **changes: object) -> Path:
    """A recipe in `folder` on its rows.jsonl; dotted keys in `changes`, with __ for the dot."""
    values: dict[str, object] = {
        "name": "planted",
        "output_directory": str(folder / "out"),
        "examples": {"sources": [str(folder / "rows.jsonl")], "validation_fraction": 0.25},
        "finetune": {
            "base": str(base or toy_base()),
            "lora": {"rank": 8, "alpha": 16, "dropout": 0.0},
            "epochs": 3,
            "batch_size": 3,
            "gradient_accumulation_steps": 1,
            "learning_rate": 1e-2,
            "checkpoint_every_steps": 2,
            "proofs": {"canary_rows": 4, "canary_steps": 60, "canary_learning_rate": 2e-2},
        },
        "compute": {"device": "cpu", "threads": 1, "linear_kernel": "torch"},
    }
    for key, value in changes.items():
        section = values
        *path, last = key.split("__")
        for name in path:
            section = section.setdefault(name, {})
        section[last] = value
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump(values))
    return path


def run(folder: Path, *, base: Path | None = None, resume: str = "never", **changes: object) -> RunRecord:
    """Write the recipe and execute it up to the adapter."""
    if not (folder / "rows.jsonl").exists():
        write_rows(folder)
    return execute(load_recipe(recipe(folder, base, **changes)), until="train", resume=resume)


def caught(work: Callable[[], object], when: str) -> Ours:
    """Do it; what stopped it and when: a proof says that itself, for an error `when` does."""
    try:
        work()
    except ProofError as error:
        failed = error.details.get("failed")
        names = [str(entry["name"]) for entry in failed if isinstance(entry, dict)] if isinstance(failed, list) else []
        told = error.details.get("when")
        return Ours(", ".join(names) or str(error.code), f"{told} training" if told else when, error.message)
    except LoquelaError as error:
        return Ours(str(error.code), when, error.message)
    return Ours(None, None, "not caught")


class Killed(Exception):
    """Stands for a machine that went away."""


@contextmanager
def killed_after(steps: int) -> Iterator[None]:
    """Within, a training ends without warning after so many steps."""
    update = TuningRunner.update
    done = 0

    def stopping(self: TuningRunner, *given: object) -> None:
        nonlocal done
        update(self, *given)
        done += 1
        if done == steps:
            raise Killed

    TuningRunner.update = stopping
    try:
        yield
    finally:
        TuningRunner.update = update


def half_done(folder: Path, **changes: object) -> None:
    """A run that was killed after step 5, with a checkpoint of step 4."""
    try:
        with killed_after(5):
            run(folder, **changes)
    except Killed:
        return
    raise AssertionError("the run was not killed")
