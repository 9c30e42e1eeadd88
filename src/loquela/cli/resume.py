"""`loquela resume`: go on with a run, or prove that going on changes nothing."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import click

from loquela.cli.options import json_option, load, output_directory_option, quiet_option
from loquela.cli.output import emit_json, table
from loquela.cli.remote.service import service_in_use

if TYPE_CHECKING:
    from loquela.recipe.origins import ResolvedRecipe
    from loquela.runs.resume_proof import ResumeProof

DEFAULT_STEPS = 6
RECIPE_SUFFIXES = (".yaml", ".yml", ".toml")


@click.command(
    "resume",
    epilog="\b\nExample:\n  loquela resume latest\n  loquela resume --prove latest\n"
    "  loquela resume --prove recipe.yaml --steps 10",
)
@click.argument("reference", metavar="RUN|RECIPE")
@click.option("--prove", is_flag=True, help="Train a few steps straight, and again with a stop half-way; compare both.")
@click.option(
    "--steps",
    type=click.IntRange(2, 10_000),
    default=DEFAULT_STEPS,
    show_default=True,
    help="Steps of each training of the proof.",
)
@output_directory_option
@quiet_option
@json_option
def command(reference: str, prove: bool, steps: int, output_directory: Path, quiet: bool, as_json: bool) -> None:
    """Go on with a run from its newest whole checkpoint.

    With --prove the run is left as it is: its training is begun twice in a temporary folder, once straight and once
    with a stop half-way, and the order of the rows, every loss, learning rate and gradient norm, the optimizer's state
    and the weights are compared. The first difference is shown, and exits with 5.
    """
    client = service_in_use()
    if client is not None:
        if prove or Path(reference).suffix in RECIPE_SUFFIXES:
            raise click.UsageError("with --server, resume takes a run of that service, and --prove is for this machine")
        from loquela.cli.remote.runs import resume as resume_there

        resume_there(client, reference, quiet=quiet, as_json=as_json)
        return
    from loquela.runs.execution import execute
    from loquela.runs.store import RunStore

    if Path(reference).suffix in RECIPE_SUFFIXES:
        resolved, resume = load(Path(reference), ()), "auto"
    else:
        directory = RunStore(output_directory).open(reference)
        resolved, resume = _of_run(directory), str(directory)
    if prove:
        _prove(resolved, resume, steps, quiet=quiet, as_json=as_json)
        return
    from loquela.cli.live_display import display_unless
    from loquela.cli.run_result import show_result

    with display_unless(quiet or as_json) as display:
        record = execute(resolved, resume=resume, listeners=[] if display is None else [display])
    if as_json:
        emit_json(record.model_dump(mode="json"))
    else:
        show_result(record)


def _of_run(directory: Path) -> ResolvedRecipe:
    """The recipe that a run was made with, as it keeps it."""
    return load(directory / "recipe.yaml", ())


def _prove(resolved: ResolvedRecipe, resume: str, steps: int, *, quiet: bool, as_json: bool) -> None:
    from loquela.core.errors import ErrorCode, ProofError
    from loquela.runs.resume_proof import prove_resume
    from loquela.runs.training_inputs import training_inputs

    recipe, inputs = training_inputs(resolved, resume)
    with tempfile.TemporaryDirectory(prefix="loquela-resume-") as folder:
        proof = prove_resume(recipe, inputs, Path(folder), steps)
    if as_json:
        emit_json(proof.model_dump(mode="json"))
    elif not quiet or not proof.passed:
        _show(proof)
    if not proof.passed and proof.first_difference is not None:
        found = proof.first_difference
        where = "after the last step" if found.step is None else f"at step {found.step}"
        raise ProofError(
            ErrorCode.VALIDATION_FAILED,
            f"a run that is stopped and gone on with is not the run that was never stopped: {found.what} {where}",
            "set compute.deterministic: true and the same compute.threads; report it with this output if it stays",
            details={"first_difference": found.model_dump(mode="json")},
        )


def _show(proof: ResumeProof) -> None:
    click.echo(f"{proof.steps} steps straight, and stopped after step {proof.stopped_after} and gone on with:")
    rows = [
        (name.replace("_", " "), f"{count:,}", proof.hashes.get(name, "")[:16])
        for name, count in proof.compared.items()
    ]
    table(("compared", "values", "SHA-256"), rows)
    if proof.passed:
        click.echo("the same bits everywhere")
    elif proof.first_difference is not None:
        found = proof.first_difference
        step = "at the end" if found.step is None else f"at step {found.step}"
        click.echo(f"first difference: {found.what} {step}: straight {found.straight}, resumed {found.resumed}")
