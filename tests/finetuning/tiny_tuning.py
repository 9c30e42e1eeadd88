"""A fine-tuning of a tiny base on rows that are written straight into an examples folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from pydantic import JsonValue
from tokenizers import Tokenizer

from loquela.artifacts.base import write_base
from loquela.artifacts.context import StageContext, StopRequest
from loquela.artifacts.manifest import write_manifest
from loquela.artifacts.token_rows import TokenSequence, write_token_rows
from loquela.finetuning.training.opening import open_session, plan_for
from loquela.finetuning.training.session import TuningSession
from loquela.models.pretrained.identify import identify
from loquela.monitoring.events import Bus, SilentBus
from loquela.recipe.schema import Recipe
from loquela.training.distributed import Group
from rows_for_base import write_what_rows_show
from toy_bases import toy_base

QUESTIONS = [
    ("Where does the river run?", "It runs under the bridge."),
    ("¿Dónde corre el río?", "Corre bajo el puente."),
    ("Give the numbers.", '{"answer": [1, 2.5, true]}'),
    ("What runs past the mill?", "The river runs past the old mill."),
    ("Who is helpful?", "You are."),
    ("Count.", "0123456789"),
    ("And the bridge?", "It is of stone."),
    ("Say niño.", "niño"),
    ("Where is the mill?", "The old mill is past the bridge, niño."),
]


def token_sequences(folder: Path, pairs: Sequence[tuple[str, str]] = QUESTIONS) -> list[TokenSequence]:
    """ChatML of each pair; the answer and its end are learnt, the line end behind it is not."""
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    made = []
    for number, (question, answer) in enumerate(pairs):
        prompt = f"<|im_start|>user\n{question}<|im_end|>\n<|im_start|>assistant\n"
        seen = tokenizer.encode(prompt, add_special_tokens=False).ids
        learnt = tokenizer.encode(f"{answer}<|im_end|>", add_special_tokens=False).ids
        end = tokenizer.encode("\n", add_special_tokens=False).ids
        weights = [0.0] * len(seen) + [1.0] * len(learnt) + [0.0] * len(end)
        ids = np.array(seen + learnt + end, np.uint32)
        made.append(TokenSequence(f"e{number}", ids, np.array(weights, np.float32)))
    return made


def write_examples(target: Path, base: Path, *, packed: int = 1, held_out: int = 2) -> Path:
    """An examples artifact: `packed` sequences a row, the last `held_out` rows for validation."""
    target.mkdir(parents=True)
    sequences = token_sequences(base)
    learnt, kept = sequences[:-held_out], sequences[-held_out:]
    rows = {"train": [learnt[i : i + packed] for i in range(0, len(learnt), packed)], "validation": [[x] for x in kept]}
    for split, each in rows.items():
        write_token_rows(target, split, each)
    write_what_rows_show(target, base, QUESTIONS, rows)
    return target


def write_base_artifact(target: Path, base: Path) -> Path:
    """The artifact of the base stage."""
    target.mkdir(parents=True)
    write_base(target, identify(base, source=str(base)))
    write_manifest(target, "base", facts={})
    return target


def tuning_recipe(base: Path, output: Path, **finetune: JsonValue) -> Recipe:
    """Two epochs of three rows a step; nothing is proven by training beforehand."""
    settings: dict[str, JsonValue] = {
        "base": str(base),
        "lora": {"rank": 4, "alpha": 8, "dropout": 0.0},
        "epochs": 2,
        "batch_size": 3,
        "gradient_accumulation_steps": 1,
        "learning_rate": 1e-2,
        "checkpoint_every_steps": 2,
        "proofs": {"canary_rows": 0, "rehearsal": False},
        **finetune,
    }
    return Recipe.model_validate(
        {
            "name": "tiny",
            "output_directory": str(output),
            "examples": {"sources": ["unused.jsonl"]},
            "finetune": settings,
            "compute": {"device": "cpu", "threads": 1, "linear_kernel": "torch"},
        }
    )


def tuning_context(
    tmp: Path, recipe: Recipe, *, bus: Bus | None = None, run: str = "run", packed: int = 1, shape: str = "llama"
) -> StageContext:
    """Inputs below `tmp`, made once, and a run folder."""
    base = toy_base(shape)
    artifacts = tmp / f"artifacts-{shape}-{packed}"
    if not artifacts.exists():
        write_examples(artifacts / "examples", base, packed=packed)
        write_base_artifact(artifacts / "base", base)
    directory = tmp / run
    directory.mkdir(exist_ok=True)
    return StageContext(
        recipe=recipe,
        bus=bus or SilentBus(),
        inputs={"base": artifacts / "base", "examples": artifacts / "examples"},
        output=directory / "adapter",
        run_directory=directory,
        stop=StopRequest(),
    )


def tuning_session(tmp: Path, *, packed: int = 1, shape: str = "llama", **finetune: JsonValue) -> TuningSession:
    """A session that is ready to train."""
    recipe = tuning_recipe(toy_base(shape), tmp, **finetune)
    context = tuning_context(tmp, recipe, packed=packed, shape=shape)
    return open_session(context, Group(), plan_for(recipe))
