"""`loquela init NAME --docs DIR`: look at the documents and the machine, propose base and plan, write the recipe."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from loquela.cli.bot_recipe import CHUNK_CHARACTERS, PAIRS_PER_CHUNK, Bot, bot_recipe, held_out
from loquela.cli.naming import quoted_path, run_name
from loquela.cli.output import emit_json, table

if TYPE_CHECKING:
    from collections.abc import Callable

    from pydantic import JsonValue

    from loquela.data.documents.survey import DocumentSurvey
    from loquela.finetuning.planning.plan import TuningPlan
    from loquela.finetuning.planning.proposal import Machine, Proposal
    from loquela.finetuning.planning.rows import RowFacts
    from loquela.recipe.schema import Recipe

RECIPE_NAME = "recipe.yaml"
# What the rules without a model find, measured on manuals, a report and a book; a language model finds what it is asked
# for.
OFFLINE_PAIRS_PER_CHUNK = 2.2
CHARACTERS_PER_TOKEN = 4
QUESTION_TOKENS = 60


def init_bot(folder: Path, docs: str, base: str | None, *, as_json: bool) -> None:
    """Make `folder` with a recipe for the documents at `docs`; RecipeError when there is one already."""
    from loquela.core.atomic import write_text
    from loquela.core.entry import resolve

    path = folder / RECIPE_NAME
    _refuse(path)
    look: Callable[[str], DocumentSurvey] = resolve("loquela.data.documents.survey:survey")
    found = look(docs)
    machine = this_machine()
    provider, why = _provider()
    rows = _rows(found, provider)
    bot = Bot(
        name=run_name(folder),
        path=quoted_path(path),
        sources=found.files if found.unreadable or found.ignored else [docs],
        documents=_documents(found),
        provider=provider,
        provider_reason=why,
        passages=_passages(found),
        rows=rows.rows,
        slow=machine.device != "cuda",
    )
    proposal = _proposal(bot, rows, machine, base)
    text = bot_recipe(bot, proposal.base, proposal.method, proposal.reason)
    _recipe(text)  # what is written holds
    write_text(path, text)
    next_commands = [f"loquela plan {bot.path}", f"loquela run {bot.path}"]
    if as_json:
        emit_json(_json(path, found, machine, proposal, rows, next_commands))
    else:
        _show(path, found, machine, proposal, rows, next_commands)


def this_machine() -> Machine:
    """The device that a run would use, and the memory that it offers now."""
    import psutil

    from loquela.core.entry import resolve
    from loquela.finetuning.planning.proposal import Machine
    from loquela.recipe.schema import ComputeSection
    from loquela.runs.environment import processor_name

    device_of: Callable[[ComputeSection], tuple[str, str]] = resolve("loquela.compute.preflight:device_and_name")
    device, name = device_of(ComputeSection())
    cores = psutil.cpu_count(logical=False) or 1
    if device == "cuda":
        memory_of: Callable[[], int] = resolve("loquela.compute.preflight:gpu_memory_bytes")
        return Machine("cuda", name, memory_of(), cores)
    available: Callable[[], int] = resolve("loquela.compute.memory:available_memory_bytes")
    return Machine("mps" if device == "mps" else "cpu", processor_name(), available(), cores)


def _provider() -> tuple[str, str]:
    if os.environ.get("ANTHROPIC_API_KEY"):
        return "anthropic", "ANTHROPIC_API_KEY is set; see the price first: loquela generate-qa --dry-run"
    return "offline", "rules, no key, no cost; anthropic or openai ask better questions"


def _rows(found: DocumentSurvey, provider: str) -> RowFacts:
    from loquela.finetuning.planning.proposal import expected_rows

    passage = CHUNK_CHARACTERS / CHARACTERS_PER_TOKEN
    pairs = OFFLINE_PAIRS_PER_CHUNK if provider == "offline" else PAIRS_PER_CHUNK
    share = held_out(_passages(found))
    return expected_rows(found.characters, CHUNK_CHARACTERS, pairs, share, (QUESTION_TOKENS, passage + QUESTION_TOKENS))


def _passages(found: DocumentSurvey) -> int:
    return max(1, round(found.characters / CHUNK_CHARACTERS))


def _proposal(bot: Bot, rows: RowFacts, machine: Machine, base: str | None) -> Proposal:
    from loquela.finetuning.planning.proposal import Proposal, plan_for, propose

    def write(name: str, method: str) -> Recipe:
        return _recipe(bot_recipe(bot, name, method))

    if base is None:
        return propose(write, rows, machine)
    return Proposal(base, "lora", plan_for(write(base, "lora"), rows), "as you asked")


def _recipe(text: str) -> Recipe:
    from loquela.recipe.keys import flatten
    from loquela.recipe.loading import load_recipe
    from loquela.recipe.yaml_text import parse_yaml

    tree = parse_yaml(text, RECIPE_NAME).tree
    return load_recipe(None, flatten(tree) if isinstance(tree, dict) else {}).recipe


def _refuse(path: Path) -> None:
    from loquela.core.errors import ErrorCode, RecipeError

    if path.parent.is_file() or path.exists():
        raise RecipeError(
            ErrorCode.CONFIG_INVALID,
            f"{path.parent if path.parent.is_file() else path} exists already and is kept",
            "choose another name: loquela init otherbot --docs DIR",
        )


def _documents(found: DocumentSurvey) -> str:
    kinds = ", ".join(f"{count} {suffix.removeprefix('.')}" for suffix, count in sorted(found.kinds.items()))
    about = "about " if found.estimated else ""
    return f"{kinds}: {about}{found.pages} pages, {about}{found.characters:,} characters"


def _show(
    path: Path,
    found: DocumentSurvey,
    machine: Machine,
    proposal: Proposal,
    rows: RowFacts,
    next_commands: list[str],
) -> None:
    facts = [
        ("documents", _documents(found)),
        ("rows expected", f"{rows.rows} of about {rows.tokens:,} tokens in all"),
        ("this machine", f"{machine.name}, {machine.memory / 2**30:.1f} GiB free"),
        ("base", f"{proposal.base}, {proposal.method}: {proposal.reason}"),
        *_planned(proposal.plan),
    ]
    table(("what", "found and proposed"), facts)
    for each in found.unreadable:
        click.echo(f"left out: {each.reason}")
        click.echo(f"  to mend it: {each.remedy}")
    if found.ignored:
        click.echo(f"left out, no documents by their names: {len(found.ignored)} files")
    click.echo(f"wrote {path}. Next:")
    for line in next_commands:
        click.echo(f"  {line}")


def _planned(plan: TuningPlan | None) -> list[tuple[str, str]]:
    if plan is None:
        return [("plan", "known once the base is here: loquela plan")]
    memory = plan.memory_mb["total"] / 1024
    return [
        ("training", f"about {plan.training_minutes:,.0f} minutes here, {plan.steps_total} steps"),
        ("memory", f"about {memory:.1f} GiB"),
    ]


def _json(
    path: Path,
    found: DocumentSurvey,
    machine: Machine,
    proposal: Proposal,
    rows: RowFacts,
    next_commands: list[str],
) -> dict[str, JsonValue]:
    plan = proposal.plan
    return {
        "recipe": str(path),
        "documents": found.model_dump(mode="json"),
        "machine": {"device": machine.device, "name": machine.name, "memory_bytes": machine.memory},
        "base": proposal.base,
        "method": proposal.method,
        "reason": proposal.reason,
        "rows": rows.rows,
        "training_minutes": plan.training_minutes if plan is not None else None,
        "memory_mb": {**plan.memory_mb} if plan is not None else None,
        "next": [*next_commands],
    }
