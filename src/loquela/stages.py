"""The flow as one table: name, phase, settings it depends on, what it takes and makes, where the function is.

    ingest ─▶ corpus ─┬─ tokenizer ─▶ tokenizer ─┬─ prepare ─▶ shards ─ train ─▶ checkpoint ─ evaluate ─▶ report
                      ├──────────────────────────┘
                      └─ qa ─▶ questions and answers ─ examples ─▶ rows to fine-tune on
    checkpoint ─ export ─▶ bundles in other formats ─ deploy_check ─▶ reports

`qa`, `examples`, `export` and `deploy_check` are there where the recipe has a section for them. A recipe with a
section `finetune` has another way:

    base ──────────┬─▶ examples ─┐                       ┌─ compare ─▶ comparison ─┐
    (ingest, qa) ──┘             ├─ finetune ─▶ adapter ─┼─ merge ─▶ merged ───────┼─ package ─▶ final_artifact
    base ────────────────────────┘                       └─────────────────────────┘

A stage whose inputs and settings have the same digest as before is not run again, and says so.
"""

from __future__ import annotations

from dataclasses import dataclass

from loquela.core.errors import ErrorCode, RecipeError
from loquela.recipe.examples_section import AugmentSection, ExamplesSection, RewritingSection
from loquela.recipe.finetune_section import FinetuneSection
from loquela.recipe.model_access import NOT_THE_TASK
from loquela.recipe.schema import EvaluateSection, Recipe
from loquela.recipe.tuned_section import TunedSection


@dataclass(frozen=True)
class Stage:
    """One row.

    `settings` are the dotted recipe keys whose values change what the stage makes; `entry` is the
    "module:function" of a `(StageContext) -> StageResult`, `fingerprint` that of a `(Recipe) -> dict` which
    describes inputs from outside; both are imported when they are needed. `format_version` grows when the same
    settings would make something else than before. `needs` is the dotted recipe key without which the stage is left
    out, `without` the one with which it is; `in_place_of` names the stage of the other way that this one answers for.
    A stage that stands `beside` the way to the model is made alone when it is asked for, with what it takes; one
    `for_others` only where another stage takes what it makes, or when it is asked for.
    `takes_with` and `takes_without` are (kind, dotted recipe key): taken too where the recipe has that key, or has not.
    `gate` is the "module:function" of a `(folder, Recipe) -> None` that raises when what was made, now or before, is
    not good enough for the recipe.
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
    without: str | None = None
    in_place_of: str | None = None
    beside: bool = False
    for_others: bool = False
    takes_with: tuple[tuple[str, str], ...] = ()
    takes_without: tuple[tuple[str, str], ...] = ()
    gate: str | None = None

    def wanted_by(self, recipe: Recipe) -> bool:
        """Whether `recipe` has what the stage needs, and not what leaves it out."""
        left_out = self.without is not None and value_at(recipe, self.without) is not None
        return not left_out and (self.needs is None or value_at(recipe, self.needs) not in (None, []))

    def inputs_of(self, recipe: Recipe) -> tuple[str, ...]:
        """The kinds of artifacts that the stage is given for `recipe`."""
        there = [kind for kind, key in self.takes_with if value_at(recipe, key) is not None]
        absent = [kind for kind, key in self.takes_without if value_at(recipe, key) is None and made_by(kind, recipe)]
        return (*self.takes, *there, *absent)


def value_at(recipe: Recipe, key: str) -> object:
    """What stands at a dotted key; None where it, or a section above it, is left out."""
    value: object = recipe
    for name in key.split("."):
        value = getattr(value, name, None)
    return value


def made_by(kind: str, recipe: Recipe) -> bool:
    """Whether a stage that `recipe` wants makes this kind of artifact."""
    return any(stage.makes == kind and stage.wanted_by(recipe) for stage in STAGES)


# Where data was prepared changes no byte of it, so it is no setting of the training.
TRAINING_COMPUTE = (
    "compute.device",
    "compute.precision",
    "compute.threads",
    "compute.compile",
    "compute.gradient_checkpointing",
    "compute.processes",
    "compute.strategy",
    "compute.fsdp",
    "compute.deepspeed",
    "compute.deterministic",
    "compute.linear_kernel",
    "compute.loader_workers",
    "compute.prefetch_factor",
    "compute.memory_limit_mb",
)

# What a model may be paid and how it is waited for changes no row.
EXAMPLES = (
    *(f"examples.{key}" for key in ExamplesSection.model_fields if key != "augment"),
    *(f"examples.augment.{key}" for key in AugmentSection.model_fields if key != "rewriting"),
    *(f"examples.augment.rewriting.{key}" for key in RewritingSection.model_fields if key not in NOT_THE_TASK),
)

# The base counts by its digest; what is proven on the way and made of the adapter later changes no weight.
FINETUNE = tuple(
    f"finetune.{key}" for key in FinetuneSection.model_fields if key not in ("base", "revision", "proofs", "merge")
)

EVALUATE = tuple(f"evaluate.{key}" for key in EvaluateSection.model_fields if key != "tuned")
# Limits are held against a comparison whenever it is asked for; they change nothing in it.
COMPARE = tuple(
    f"evaluate.tuned.{key}" for key in TunedSection.model_fields if key not in ("fail_under", "max_forgetting")
)

STAGES = (
    Stage(
        "base",
        "corpus_download",
        ("finetune.base", "finetune.revision"),
        (),
        "base",
        "loquela.models.pretrained.stage:provide",
        "loquela.models.pretrained.stage:fingerprint",
        needs="finetune",
        for_others=True,
    ),
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
        format_version=4,
        for_others=True,
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
        format_version=2,
        needs="qa",
        beside=True,
    ),
    Stage(
        "tokenizer",
        "tokenizer_training",
        ("tokenizer", "data.normalization"),
        ("corpus",),
        "tokenizer",
        "loquela.data.stage:train_tokenizer",
        format_version=2,
        without="finetune",
    ),
    Stage(
        "examples",
        "tokenizer_training",
        EXAMPLES,
        (),
        "examples",
        "loquela.data.examples.stage:build",
        "loquela.data.examples.stage:fingerprint",
        format_version=2,
        needs="examples",
        beside=True,
        takes_with=(("qa", "qa"), ("base", "finetune")),
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
        without="finetune",
    ),
    Stage(
        "train",
        "model_training",
        ("seed", "model", "train", *TRAINING_COMPUTE),
        ("tokenizer", "shards"),
        "checkpoint",
        "loquela.training.stage:train",
        without="finetune",
    ),
    Stage(
        "finetune",
        "model_training",
        ("seed", *FINETUNE, *TRAINING_COMPUTE),
        ("base", "examples"),
        "adapter",
        "loquela.finetuning.stage:finetune",
        needs="finetune",
        in_place_of="train",
    ),
    Stage(
        "evaluate",
        "validation",
        ("seed", *EVALUATE),
        ("tokenizer", "shards", "checkpoint"),
        "report",
        "loquela.evaluation.stage:evaluate",
        without="finetune",
    ),
    Stage(
        "compare",
        "validation",
        ("seed", *COMPARE),
        ("base", "examples", "adapter"),
        "comparison",
        "loquela.evaluation.tuned.stage:compare",
        "loquela.evaluation.tuned.preflight:fingerprint",
        needs="finetune",
        in_place_of="evaluate",
        gate="loquela.evaluation.tuned.gates:check_gates",
    ),
    Stage(
        "merge",
        "validation",
        ("finetune.merge",),
        ("base", "examples", "adapter"),
        "merged",
        "loquela.finetuning.merging.stage:merge",
        needs="finetune.merges",
    ),
    Stage(
        "package",
        "validation",
        (),
        ("base", "examples", "adapter", "comparison"),
        "final_artifact",
        "loquela.finetuning.packaging.stage:package",
        needs="finetune",
        takes_with=(("qa", "qa"), ("merged", "finetune.merges")),
    ),
    Stage(
        "export",
        "validation",
        ("export",),
        (),
        "exports",
        "loquela.export.stage:export",
        needs="export.targets",
        takes_with=(("examples", "finetune"), ("adapter", "finetune"), ("merged", "finetune.merges")),
        takes_without=(("tokenizer", "finetune"), ("shards", "finetune"), ("checkpoint", "finetune")),
    ),
    Stage(
        "deploy_check",
        "validation",
        ("deploy", "evaluate.budgets"),
        ("exports",),
        "deployment",
        "loquela.evaluation.deployment.stage:check",
        needs="deploy",
    ),
)

# Before anything is downloaded or written: "module:function" of a `(Recipe) -> list[Proof]`.
PREFLIGHT = (
    "loquela.runs.prerequisites:check_output",
    "loquela.runs.tracking:check_trackers",
    "loquela.runs.alerting.policy:check_alerts",
    "loquela.data.preflight:check_sources",
    "loquela.data.qa.preflight:check_provider",
    "loquela.export.preflight:check_exports",
    "loquela.evaluation.deployment.preflight:check_targets",
    "loquela.finetuning.preflight:check_finetuning",
    "loquela.evaluation.tuned.preflight:check_metrics",
    "loquela.compute.preflight:check_machine",
)

# What the device wants where the recipe leaves it open: "module:function" of a `(ResolvedRecipe) -> ResolvedRecipe`.
DEVICE_DEFAULTS = "loquela.compute.defaults:with_device_defaults"


def stages_until(last: str, recipe: Recipe) -> list[Stage]:
    """The stages that `recipe` wants up to `last`, in order; for one that stands beside the way, only what it needs."""
    end = stage_named(last)
    rows = [stage for stage in STAGES[: STAGES.index(end) + 1] if stage.wanted_by(recipe)]
    wanted = {end.makes}
    needed = []
    for stage in reversed(rows):
        if stage.makes in wanted or not (end.beside or stage.for_others):
            needed.append(stage)
            wanted.update(stage.inputs_of(recipe))
    return needed[::-1]


def stage_for(name: str, recipe: Recipe) -> Stage:
    """The stage called `name`, or the one in its place that `recipe` wants instead.

    RecipeError(CONFIG_INVALID) when the recipe's sections leave it out and nothing stands in its place.
    """
    rows = [stage for stage in STAGES if name in (stage.name, stage.in_place_of) and stage.wanted_by(recipe)]
    if not rows:
        stage = stage_named(name)
        left_out = stage.without is not None and value_at(recipe, stage.without) is not None
        why = f"it has a section {stage.without}" if left_out else f"it has no {stage.needs}"
        raise RecipeError(
            ErrorCode.CONFIG_INVALID,
            f"this recipe does not {name.replace('_', ' ')}: {why}",
            f"{'take that section out of' if left_out else 'write it into'} the recipe, or ask for: "
            + ", ".join(row.name for row in STAGES if row.wanted_by(recipe)),
        )
    return rows[0]


def last_stage(recipe: Recipe) -> str:
    """The name of the stage with which `recipe` is complete."""
    return [stage.name for stage in STAGES if stage.wanted_by(recipe) and not stage.beside][-1]


def wanted_stages(recipe: Recipe) -> list[Stage]:
    """Every stage of a complete run, in order."""
    return stages_until(last_stage(recipe), recipe)


def stage_named(name: str) -> Stage:
    """The row called `name`; KeyError when there is none."""
    return {stage.name: stage for stage in STAGES}[name]
