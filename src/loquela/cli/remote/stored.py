"""What a service has stored of its runs: listed, downloaded with proof."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from loquela.cli.output import emit_json, print_text, table
from loquela.cli.remote.service import named_run
from loquela.core.errors import ErrorCode, RecipeError

if TYPE_CHECKING:
    from loquela.client.answers import Artifact
    from loquela.client.client import Client

PAGE = 200


def list_stored(client: Client, kind: str | None, *, as_json: bool) -> None:
    """Everything that is stored, newest first."""
    page = client.stored(limit=PAGE, kind=kind)
    found = [*page.artifacts]
    while page.next_before is not None:
        page = client.stored(before=page.next_before, limit=PAGE, kind=kind)
        found += page.artifacts
    if as_json:
        emit_json([each.model_dump(mode="json") for each in found])
        return
    if not found:
        print_text(f"nothing is stored at {client.url} yet; runs are stored when they have succeeded")
        return
    table(("kind", "id", "size", "sha256"), [_row(each) for each in found])


def download(client: Client, reference: str, kind: str, output: Path | None, *, as_json: bool) -> None:
    """Write the tarball of a run's part here, its SHA-256 proven.

    `reference` is a run, or RUN/EXPORT. Raises RecipeError for what is not stored, or a file that is there already.
    """
    named, _, export = reference.partition("/")
    run = named_run(client, named)
    wanted, subject = ("export", f"{run.run_id}.{export}") if export else (kind, run.run_id)
    there = client.artifacts(run.run_id).artifacts
    fits = [each for each in there if each.kind == wanted and (each.id == subject or not export)]
    if len(fits) != 1:
        raise _not_one(client, run.run_id, wanted, there, many=len(fits) > 1)
    place = output or Path(f"{fits[0].id}-{wanted}.tar")
    if place.exists():
        raise RecipeError(ErrorCode.CONFIG_INVALID, f"{place} is there already", "name another file: --output FILE")
    client.download(fits[0], place)
    if as_json:
        emit_json({"file": str(place), **fits[0].model_dump(mode="json")})
        return
    print_text(f"{place}: {fits[0].size_bytes:,} bytes, SHA-256 {fits[0].file_id}, as the service stored it")
    print_text("next:")
    print_text(f"  tar -xf {click.format_filename(place)}")


def _row(each: Artifact) -> tuple[str, str, str, str]:
    return each.kind, each.id, f"{each.size_bytes / 1e6:.1f} MB", each.file_id[:12]


def _not_one(client: Client, run_id: str, kind: str, there: list[Artifact], *, many: bool) -> RecipeError:
    names = ", ".join(f"{each.kind} {each.id}" for each in there) or "nothing yet"
    why = "there are several, name one as RUN/EXPORT" if many else f"stored are: {names}"
    return RecipeError(
        ErrorCode.DATA_NOT_FOUND,
        f"no single {kind} of {run_id} is stored at {client.url}; {why}",
        "a run is stored when it has succeeded, and again when somebody has worked on it: ask in a moment, or "
        f"loquela --server {client.url} artifacts list",
    )
