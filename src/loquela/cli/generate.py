"""`loquela generate`: text from a trained model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from loquela.cli.options import json_option, model_argument, model_place, output_directory_option
from loquela.cli.output import emit_json, tell_notes

if TYPE_CHECKING:
    from pydantic import JsonValue


@click.command(
    "generate",
    epilog="\b\nExample:\n  loquela generate latest --prompt 'Había una vez' --max-new-tokens 80 --seed 7",
)
@model_argument
@click.option("--prompt", help="Text to go on from; without one, a new document begins.")
@click.option("--prompt-file", type=click.Path(path_type=Path), help="UTF-8 file with the text to go on from.")
@click.option("--max-new-tokens", type=int, default=60, show_default=True, help="1 to 512.")
@click.option("--temperature", type=float, default=0.8, show_default=True, help="0 is greedy.")
@click.option("--top-k", type=int, help="Sample from the k likeliest tokens only.")
@click.option("--top-p", type=float, help="Sample from the likeliest tokens that reach this probability mass.")
@click.option("--stop", "stops", multiple=True, help="End before this text. May be repeated.")
@click.option("--count", type=int, default=1, show_default=True, help="Number of texts, 1 to 10.")
@click.option("--seed", type=int, default=1337, show_default=True, help="The same seed gives the same text.")
@output_directory_option
@json_option
def command(
    model: str,
    prompt: str | None,
    prompt_file: Path | None,
    max_new_tokens: int,
    temperature: float,
    top_k: int | None,
    top_p: float | None,
    stops: tuple[str, ...],
    count: int,
    seed: int,
    output_directory: Path,
    as_json: bool,
) -> None:
    """Write text with a trained model.

    MODEL is a run (id, prefix of an id, path, or latest) or a model folder. A run gives its best model.
    """
    from loquela.inference.contracts import GenerateRequest, checked_request

    values: dict[str, JsonValue] = {
        "prompt_text": prompt,
        "prompt_path": None if prompt_file is None else str(prompt_file),
        "max_new_tokens": max_new_tokens,
        "temperature": temperature,
        "top_k": top_k,
        "top_p": top_p,
        "stop_sequences": [*stops],
        "seed": seed,
        "num_return_sequences": count,
    }
    # The request is checked before seconds are spent on loading the model.
    request = checked_request(GenerateRequest, values)
    place = model_place(model, output_directory)

    from loquela.inference.open import open_engine

    engine = open_engine(place)
    if as_json:
        emit_json(engine.generate(request).model_dump(mode="json"))
    elif count == 1:
        notes: list[str] = []
        click.echo(prompt or "", nl=False)
        for piece in engine.stream(request, notes):
            click.echo(piece, nl=False)
        click.echo()
        tell_notes(notes)
    else:
        result = engine.generate(request)
        for number, text in enumerate(result.outputs, 1):
            click.echo(f"[{number}] {prompt or ''}{text}")
        tell_notes(result.notes)
