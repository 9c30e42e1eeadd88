"""`loquela score`: how surprised is a model by a text?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from loquela.cli.models import writer_of
from loquela.cli.options import json_option, model_argument, output_directory_option
from loquela.cli.output import emit_json, table, tell_notes

if TYPE_CHECKING:
    from pydantic import JsonValue


@click.command("score", epilog="\b\nExample:\n  loquela score latest --text 'The old man sat by the sea.' --tokens")
@model_argument
@click.option("--text", help="The text to measure.")
@click.option("--file", type=click.Path(path_type=Path), help="UTF-8 file with the text to measure.")
@click.option("--top-k", type=int, help="Also give the k likeliest tokens at every position (1 to 100).")
@click.option("--characters", is_flag=True, help="Also spread the surprisal over the characters (with --json).")
@click.option("--tokens", is_flag=True, help="Show every token with its surprisal.")
@output_directory_option
@json_option
def command(
    model: str,
    text: str | None,
    file: Path | None,
    top_k: int | None,
    characters: bool,
    tokens: bool,
    output_directory: Path,
    as_json: bool,
) -> None:
    """Measure how well a model expects a text.

    MODEL is a run (id, prefix of an id, path, or latest), a model folder or an exported bundle. Loss and surprisal are
    in nats; perplexity is exp(loss).
    """
    from loquela.inference.contracts import ScoreRequest, checked_request

    values: dict[str, JsonValue] = {
        "text": text,
        "path": None if file is None else str(file),
        "detail_level": "per_char" if characters else "summary",
        "top_k": top_k,
    }
    request = checked_request(ScoreRequest, values)
    result = writer_of(model, output_directory).score(request)
    if as_json:
        emit_json(result.model_dump(mode="json"))
        return
    click.echo(
        f"loss {result.loss:.4f} nats per token, perplexity {result.perplexity:,.2f}, {len(result.tokens)} tokens"
    )
    if tokens or top_k:
        choices = result.topk or [[] for _ in result.tokens]
        rows = [
            (repr(token), f"{surprise:.3f}", " ".join(repr(choice.token) for choice in likely))
            for token, surprise, likely in zip(result.tokens, result.surprisal, choices, strict=True)
        ]
        table(("token", "surprisal", "likeliest"), rows)
    tell_notes(result.notes)
