"""The flow as one table: name, phase, recipe sections, takes, makes, where the function is.

A stage whose inputs and settings have the same digest as before is not run again, and says so.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Stage:
    """One row: `entry` is "module:function" of a `(StageContext) -> StageResult`, imported when it runs."""

    name: str
    phase: str
    sections: tuple[str, ...]
    takes: tuple[str, ...]
    makes: str
    entry: str
    cached: bool


STAGES = (
    Stage("ingest", "corpus_download", ("data", "seed"), (), "corpus", "loquela.data.stage:ingest", True),
    Stage(
        "tokenizer",
        "tokenizer_training",
        ("tokenizer", "seed", "data.normalization"),
        ("corpus",),
        "tokenizer",
        "loquela.data.stage:train_tokenizer",
        True,
    ),
    Stage("prepare", "tokenizer_training", (), ("corpus", "tokenizer"), "shards", "loquela.data.stage:prepare", True),
    Stage(
        "train",
        "model_training",
        ("model", "train", "compute", "seed"),
        ("tokenizer", "shards"),
        "checkpoint",
        "loquela.training.stage:train",
        False,
    ),
    Stage(
        "evaluate",
        "validation",
        ("evaluate", "seed"),
        ("tokenizer", "shards", "checkpoint"),
        "report",
        "loquela.evaluation.stage:evaluate",
        False,
    ),
)
