"""`loquela generate-qa`: questions and answers with evidence from the documents of a recipe."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from loquela.cli.execution import ask, queued_instead
from loquela.cli.live_display import display_unless
from loquela.cli.options import json_option, load, quiet_option, recipe_argument, resume_option, set_option
from loquela.cli.output import emit_json, table
from loquela.cli.remote.service import service_in_use

if TYPE_CHECKING:
    from collections.abc import Callable

    from pydantic import JsonValue

    from loquela.recipe.origins import ResolvedRecipe
    from loquela.recipe.schema import Recipe
    from loquela.runs.execution import RunRecord

    Price = Callable[[Recipe, Path], dict[str, JsonValue]]


@click.command(
    "generate-qa",
    epilog="\b\nExample:\n  loquela generate-qa recipe.yaml --dry-run\n"
    "  loquela generate-qa recipe.yaml --set qa.provider=offline --yes",
)
@recipe_argument
@set_option
@resume_option
@click.option("--dry-run", is_flag=True, help="Only say what it would ask and cost.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask whether the estimated cost is all right.")
@quiet_option
@json_option
def command(
    recipe: Path,
    overrides: tuple[str, ...],
    resume: str,
    dry_run: bool,
    yes: bool,
    quiet: bool,
    as_json: bool,
) -> None:
    """Make questions and answers with evidence from a recipe's documents.

    The section qa of the recipe says who is asked. The cost is estimated first and never goes beyond qa.max_cost_usd.
    Ctrl+C keeps every answer and exits with 75; the same command with --resume auto goes on, and pays for no answer
    twice.
    """
    from loquela.core.entry import resolve

    resolved = load(recipe, overrides)
    check: Callable[[Recipe], object] = resolve("loquela.data.qa.stage:section_of")
    check(resolved.recipe)
    if service_in_use("dry_run") is not None:
        if not yes:
            most = resolved.recipe.qa.max_cost_usd if resolved.recipe.qa is not None else 0.0
            raise click.UsageError(
                "a service estimates the cost when it has read the documents, and asks nobody: "
                f"give --yes, which agrees to qa.max_cost_usd, here ${most:g}"
            )
        queued_instead(recipe, overrides, until="qa", quiet=quiet, as_json=as_json)
        return
    corpus = _carry_out(resolved, resume, "ingest", quiet=quiet, as_json=as_json)
    price: Price = resolve("loquela.data.qa.stage:price")
    estimate = price(corpus.manifest.recipe, Path(corpus.manifest.stages["ingest"].directory))
    if dry_run and as_json:
        emit_json({"estimate": estimate})
        return
    if not as_json:
        show_estimate(estimate)
    if dry_run:
        return
    _agree(estimate, yes=yes)
    record = _carry_out(resolved, str(corpus.directory), "qa", quiet=quiet, as_json=as_json)
    if as_json:
        emit_json({"estimate": estimate, "run": record.model_dump(mode="json")})
    else:
        _show(record, recipe)


def _carry_out(resolved: ResolvedRecipe, resume: str, until: str, *, quiet: bool, as_json: bool) -> RunRecord:
    from loquela.runs.execution import execute

    asker = ask if sys.stdin.isatty() and not as_json else None
    with display_unless(quiet or as_json) as display:
        listeners = [] if display is None else [display]
        return execute(resolved, resume=resume, until=until, listeners=listeners, ask=asker)


def show_estimate(estimate: dict[str, JsonValue]) -> None:
    """What is going to be asked, and what it will cost."""
    skipped = estimate["chunks_skipped"]
    reasons = skipped if isinstance(skipped, dict) else {}
    minutes = estimate["minutes"]
    rows = [
        ("asked", f"{estimate['model']} ({estimate['provider']})"),
        ("judge", str(estimate["judge_model"] or "none")),
        ("chunks", f"{estimate['chunks_asked']:,} of {estimate['chunks']:,}"),
        *((f"  {reason}", f"{count:,} not asked") for reason, count in reasons.items()),
        ("pairs wanted", f"{estimate['pairs']:,}"),
        ("requests", f"{estimate['requests']:,} (and {estimate['answered_before']:,} answered before)"),
        ("tokens", f"about {estimate['input_tokens']:,} in, {estimate['output_tokens']:,} out"),
        ("cost", f"about ${estimate['expected_usd']:.4f}, spent before ${estimate['spent_usd']:.4f}"),
        ("never more than", f"${estimate['max_cost_usd']:.4f}"),
        ("time", "up to a day, as a batch" if minutes is None else f"about {minutes} minutes"),
    ]
    table(("estimate", ""), rows)


def _agree(estimate: dict[str, JsonValue], *, yes: bool) -> None:
    """Let a person at the terminal say no to a cost; elsewhere `--yes` must say yes."""
    from loquela.core.errors import ErrorCode, RecipeError

    if yes or not estimate["expected_usd"]:
        return
    if not sys.stdin.isatty():
        raise RecipeError(
            ErrorCode.CONFIG_INVALID,
            f"this is expected to cost ${estimate['expected_usd']:.4f} and nobody is there to agree",
            "run the same command with --yes, or with --dry-run to see the estimate only",
        )
    click.confirm("Ask?", default=True, err=True, abort=True)


def _show(record: RunRecord, recipe: Path) -> None:
    made = record.manifest.stages["qa"]
    dropped = made.facts.get("dropped")
    if isinstance(dropped, dict) and dropped:
        table(("dropped", "pairs"), [(reason, f"{count:,}") for reason, count in dropped.items()])
    click.echo(made.summary)
    click.echo(f"examples: {Path(made.directory) / 'examples.jsonl'}")
    click.echo(f"ledger:   {Path(made.directory) / 'ledger.json'}")
    click.echo(f"answers:  {record.directory / 'logs' / 'llm_interaction.log'}")
    click.echo("next:")
    click.echo(f"  loquela runs show {shlex.quote(record.run_id)}")
