"""`loquela generate`: text from a trained model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from loquela.cli.models import writer_of
from loquela.cli.options import json_option, model_argument, output_directory_option
from loquela.cli.output import emit_json, print_text, tell_notes

if TYPE_CHECKING:
    from pydantic import JsonValue

    from loquela.inference.contracts import GenerateRequest


@click.command(
    "generate",
    epilog="\b\nExample:\n  loquela generate latest --prompt 'Había una vez' --max-new-tokens 80 --seed 7",
)
@model_argument
@click.option("--prompt", help="Text to go on from; without one, a new document begins.")
@click.option("--prompt-file", type=click.Path(path_type=Path), help="UTF-8 file with the text to go on from.")
@click.option(
    "--batch",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="JSON Lines: each a prompt, or an object of request fields; the results are JSON Lines in the same order.",
)
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
    batch: Path | None,
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

    MODEL is a run (id, prefix of an id, path, or latest), a model folder or an exported bundle. A run gives its best
    model. In a batch, the options hold for every line that does not say otherwise.
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
    requests = None if batch is None else _batch(batch, values)
    engine = writer_of(model, output_directory)
    if requests is not None:
        for each in requests:
            print_text(json.dumps(engine.generate(each).model_dump(mode="json"), ensure_ascii=False))
    elif as_json:
        emit_json(engine.generate(request).model_dump(mode="json"))
    elif count == 1:
        notes: list[str] = []
        print_text(prompt or "", nl=False)
        for piece in engine.stream(request, notes):
            print_text(piece, nl=False)
        print_text()
        tell_notes(notes)
    else:
        result = engine.generate(request)
        for number, text in enumerate(result.outputs, 1):
            print_text(f"[{number}] {prompt or ''}{text}")
        tell_notes(result.notes)


def _batch(path: Path, values: dict[str, JsonValue]) -> list[GenerateRequest]:
    """The requests of a file, all of them checked before the first is carried out.

    Raises DataError for a file that cannot be read, RecipeError(CONFIG_INVALID) that names the line for a wrong one.
    """
    from loquela.core.errors import ErrorCode, RecipeError
    from loquela.inference.contracts import GenerateRequest, checked_request
    from loquela.inference.engine import text_of

    if values["prompt_text"] is not None or values["prompt_path"] is not None:
        raise RecipeError(
            ErrorCode.CONFIG_INVALID, "--batch brings its own prompts", "leave --prompt and --prompt-file out"
        )
    requests = []
    for number, line in enumerate(text_of(None, path).split("\n"), 1):
        if not line.strip():
            continue
        try:
            given: JsonValue = json.loads(line)
            own: dict[str, JsonValue] = given if isinstance(given, dict) else {"prompt_text": given}
            requests.append(checked_request(GenerateRequest, values | own))
        except ValueError as error:
            raise RecipeError(
                ErrorCode.CONFIG_INVALID,
                f"line {number} of {path} is not JSON: {error}",
                'write each prompt as a JSON string ("Once upon a time") or an object of request fields',
            ) from error
        except RecipeError as error:
            raise RecipeError(error.code, f"line {number} of {path}: {error.message}", error.remedy) from error
    return requests
