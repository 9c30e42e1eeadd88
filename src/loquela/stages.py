"""The flow as one table: name, phase, settings it depends on, what it takes and makes, where the function is.

    ingest ─▶ corpus ─┬─ tokenizer ─▶ tokenizer ─┬─ prepare ─▶ shards ─ train ─▶ checkpoint ─ evaluate ─▶ report
                      ├──────────────────────────┘
                      └─ qa ─▶ questions and answers ─ examples ─▶ rows to fine-tune on

`qa` and `examples` are there where the recipe has a section for them.

A stage whose inputs and settings have the same digest as before is not run again, and says so.
"""

from __future__ import annotations

from dataclasses import dataclass

from loquela.recipe.schema import Recipe


@dataclass(frozen=True)
class Stage:
    """One row.

    `settings` are the dotted recipe keys whose values change what the stage makes; `entry` is the
    "module:function" of a `(StageContext) -> StageResult`, `fingerprint` that of a `(Recipe) -> dict` which
    describes inputs from outside; both are imported when they are needed. `format_version` grows when the same
    settings would make something else than before. `needs` is the recipe section without which the stage is left out.
    `takes_with` and `takes_without` are (kind, dotted recipe key): taken too where the recipe has that key, or has not.
    """

    name: str
    phase: str
    settings: tuple[str, ...]
    takes: tuple[str, ...]
    makes: str
    entry: str
    fingerprint: str | None = None
    format_version: int = 1
    needs: str | None = None
    takes_with: tuple[tuple[str, str], ...] = ()
    takes_without: tuple[tuple[str, str], ...] = ()

    def wanted_by(self, recipe: Recipe) -> bool:
        """Whether `recipe` has what the stage needs."""
        return self.needs is None or getattr(recipe, self.needs) is not None

    def inputs_of(self, recipe: Recipe) -> tuple[str, ...]:
        """The kinds of artifacts that the stage is given for `recipe`."""
        there = [kind for kind, key in self.takes_with if value_at(recipe, key) is not None]
        absent = [kind for kind, key in self.takes_without if value_at(recipe, key) is None]
        return (*self.takes, *there, *absent)


def value_at(recipe: Recipe, key: str) -> object:
    """What stands at a dotted key; None where it, or a section above it, is left out."""
    value: object = recipe
    for name in key.split("."):
        value = getattr(value, name, None)
    return value


# Where data was prepared changes no byte of it, so it is no setting of the training.
TRAINING_COMPUTE = (
    "compute.device",
    "compute.precision",
    "compute.threads",
    "compute.compile",
    "compute.gradient_checkpointing",
    "compute.processes",
    "compute.deterministic",
    "compute.linear_kernel",
    "compute.loader_workers",
    "compute.prefetch_factor",
    "compute.memory_limit_mb",
)

STAGES = (
    Stage(
        "ingest",
        "corpus_download",
        (
            "data.seed",
            "data.sources",
            "data.document_bytes",
            "data.validation_fraction",
            "data.test_fraction",
            "data.split_unit",
            "data.stratify_by",
            "data.encoding",
            "data.documents",
            "data.splitter",
            "data.normalization",
            "data.validation",
            "data.decontaminate",
            "data.duplicates",
        ),
        (),
        "corpus",
        "loquela.data.stage:ingest",
        "loquela.data.corpus.fingerprint:recipe_fingerprint",
        format_version=2,
    ),
    Stage(
        "qa",
        "corpus_download",
        tuple(
            f"qa.{key}"
            for key in (
                "provider",
                "model",
                "base_url",
                "pairs_per_chunk",
                "question_types",
                "levels",
                "rows",
                "unanswerable_share",
                "judge",
                "judge_model",
                "judge_min_usefulness",
                "batch",
                "seed",
                "language",
            )
        ),
        ("corpus",),
        "qa",
        "loquela.data.qa.stage:generate",
        needs="qa",
    ),
    Stage(
        "tokenizer",
        "tokenizer_training",
        ("tokenizer", "data.normalization"),
        ("corpus",),
        "tokenizer",
        "loquela.data.stage:train_tokenizer",
        format_version=2,
    ),
    Stage(
        "examples",
        "tokenizer_training",
        ("examples",),
        (),
        "examples",
        "loquela.data.examples.stage:build",
        "loquela.data.examples.stage:fingerprint",
        needs="examples",
        takes_with=(("qa", "qa"),),
        takes_without=(("tokenizer", "examples.tokenizer"),),
    ),
    Stage(
        "prepare",
        "tokenizer_training",
        (),
        ("corpus", "tokenizer"),
        "shards",
        "loquela.data.stage:prepare",
        format_version=2,
    ),
    Stage(
        "train",
        "model_training",
        ("seed", "model", "train", *TRAINING_COMPUTE),
        ("tokenizer", "shards"),
        "checkpoint",
        "loquela.training.stage:train",
    ),
    Stage(
        "evaluate",
        "validation",
        ("seed", "evaluate"),
        ("tokenizer", "shards", "checkpoint"),
        "report",
        "loquela.evaluation.stage:evaluate",
    ),
)

# Before anything is downloaded or written: "module:function" of a `(Recipe) -> list[Proof]`.
PREFLIGHT = (
    "loquela.runs.prerequisites:check_output",
    "loquela.data.preflight:check_sources",
    "loquela.data.qa.preflight:check_provider",
    "loquela.compute.preflight:check_machine",
)

# What the device wants where the recipe leaves it open: "module:function" of a `(ResolvedRecipe) -> ResolvedRecipe`.
DEVICE_DEFAULTS = "loquela.compute.defaults:with_device_defaults"


def stages_until(last: str, recipe: Recipe) -> list[Stage]:
    """The stages that `recipe` wants up to `last`, in order; for one that stands beside the way, only what it needs."""
    end = stage_named(last)
    rows = [stage for stage in STAGES[: STAGES.index(end) + 1] if stage.wanted_by(recipe)]
    if end.needs is None:
        return rows
    wanted = {end.makes}
    needed = []
    for stage in reversed(rows):
        if stage.makes in wanted:
            needed.append(stage)
            wanted.update(stage.inputs_of(recipe))
    return needed[::-1]


def stage_named(name: str) -> Stage:
    """The row called `name`; KeyError when there is none."""
    return {stage.name: stage for stage in STAGES}[name]
