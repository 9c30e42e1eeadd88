"""Plain TRL with its defaults on a tiny model: one training of a few steps, with what it said on the way."""

from __future__ import annotations

import contextlib
import functools
import io
import logging
import re
import tempfile
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import datasets
import peft
import torch
import transformers
import trl

from planted.contract import Theirs
from planted.material import QUESTIONS
from toy_bases import toy_base

datasets.disable_progress_bars()
transformers.logging.disable_progress_bar()

STEPS = 10
LOGGERS = ("trl", "transformers", "peft", "accelerate", "datasets")


def conversations(questions: dict[str, str] | None = None) -> list[dict[str, object]]:
    asked = QUESTIONS if questions is None else questions
    return [
        {"messages": [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]}
        for question, answer in asked.items()
    ]


@dataclass
class Said:
    """Warnings of a run, each once, with numbers and paths left out so that two runs compare."""

    lines: list[str] = field(default_factory=list)

    def add(self, text: str) -> None:
        line = re.sub(r"\s+", " ", text).strip()
        if line and line not in self.lines:
            self.lines.append(line)


@contextlib.contextmanager
def listening() -> Iterator[Said]:
    said = Said()
    handler = logging.Handler(logging.WARNING)
    handler.emit = lambda record: said.add(record.getMessage())
    loggers = [logging.getLogger(name) for name in LOGGERS]
    for logger in loggers:
        logger.addHandler(handler)
    with warnings.catch_warnings(record=True) as caught, contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("always")
        try:
            yield said
        finally:
            for logger in loggers:
                logger.removeHandler(handler)
            for warning in caught:
                if issubclass(warning.category, UserWarning | RuntimeWarning):
                    said.add(str(warning.message))


def lora(**changes: object) -> peft.LoraConfig:
    return peft.LoraConfig(
        **{"r": 8, "lora_alpha": 16, "target_modules": "all-linear", "task_type": "CAUSAL_LM", **changes}
    )


def settings(folder: Path, **changes: object) -> trl.SFTConfig:
    """TRL's defaults but for what a CPU and a few steps need."""
    values: dict[str, object] = {
        "output_dir": str(folder / "trl"),
        "use_cpu": True,
        "bf16": False,
        "gradient_checkpointing": False,
        "max_steps": STEPS,
        "learning_rate": 1e-2,
        "per_device_train_batch_size": 4,
        "logging_steps": 1,
        "save_strategy": "no",
        "report_to": [],
        "disable_tqdm": True,
        "seed": 1,
        "model_init_kwargs": {"dtype": "float32"},
    }
    return trl.SFTConfig(**{**values, **changes})


Change = Callable[[trl.SFTTrainer], None]


def train(
    folder: Path,
    rows: list[dict[str, object]] | None = None,
    *,
    config: dict[str, object] | None = None,
    base: str | torch.nn.Module | None = None,
    adapter: peft.LoraConfig | None = None,
    change: Change | None = None,
    resume: bool = False,
    trainer_class: type[trl.SFTTrainer] = trl.SFTTrainer,
    **more: object,
) -> tuple[trl.SFTTrainer, list[float]]:
    """Train; the trainer and the losses. `change` plants the fault in the trainer before it starts."""
    values = dict(config or {})
    if isinstance(base, torch.nn.Module):
        values["model_init_kwargs"] = None
    trainer = trainer_class(
        model=base if base is not None else str(toy_base()),
        args=settings(folder, **values),
        train_dataset=datasets.Dataset.from_list(rows if rows is not None else conversations()),
        peft_config=None if isinstance(base, peft.PeftModel) else adapter or lora(),
        **more,
    )
    if change is not None:
        change(trainer)
    trainer.train(resume_from_checkpoint=resume)
    history = [float(entry["loss"]) for entry in trainer.state.log_history if "loss" in entry]
    return trainer, history


@functools.cache
def usual_lines() -> frozenset[str]:
    """What TRL says in a run without a fault."""
    with listening() as said, tempfile.TemporaryDirectory() as folder:
        train(Path(folder))
    return frozenset(said.lines)


def observed(run: Callable[[], tuple[list[float], str]]) -> Theirs:
    """Run it; what it raised, warned of, and ended with."""
    usual = usual_lines()
    with listening() as said:
        try:
            losses, says = run()
        except Exception as error:  # whatever stops it is the answer
            first = str(error).strip().splitlines() or [""]
            return Theirs(False, None, f"{type(error).__name__}: {first[0][:200]}")
    new = [line for line in said.lines if line not in usual]
    return Theirs(True, "; ".join(new)[:300] or None, says, tuple(round(loss, 3) for loss in losses))


def learnt_tokens(trainer: trl.SFTTrainer) -> tuple[int, int]:
    """Labels that count and tokens, over the first epoch."""
    learnt = tokens = 0
    for batch in trainer.get_train_dataloader():
        learnt += int((batch["labels"] != -100).sum())
        tokens += int(batch["attention_mask"].sum()) if "attention_mask" in batch else batch["input_ids"].numel()
    return learnt, tokens
