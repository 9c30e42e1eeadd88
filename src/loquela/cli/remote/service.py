"""The service that `--server` names, and the runs it knows."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from loquela.core.errors import ErrorCode, RecipeError

if TYPE_CHECKING:
    from loquela.client.answers import Run
    from loquela.client.client import Client

LOOKED_THROUGH = 200


def service_in_use() -> Client | None:
    """A client of the service that the command line names; None without `--server`."""
    context = click.get_current_context(silent=True)
    given = context.find_root().params if context is not None else {}
    url, key_file = given.get("server"), given.get("key_file")
    if not isinstance(url, str):
        return None
    from loquela.client.client import Client

    return Client(url, _key(key_file) if isinstance(key_file, Path) else None)


def named_run(client: Client, reference: str) -> Run:
    """The run of an id, the beginning of one, or `latest`.

    Raises RecipeError(RUN_NOT_FOUND) when there is none, or several begin like that.
    """
    page = client.runs(limit=LOOKED_THROUGH)
    if reference == "latest" and page.runs:
        return page.runs[0]
    found = [run for run in page.runs if run.run_id.startswith(reference)]
    exact = [run for run in found if run.run_id == reference]
    if exact or len(found) == 1:
        return (exact or found)[0]
    if not found and reference != "latest" and page.next_before is not None:
        return client.run(reference)
    several = f"{len(found)} runs of {client.url} begin with" if found else f"{client.url} has no run"
    raise RecipeError(
        ErrorCode.RUN_NOT_FOUND,
        f"{several} {reference!r}",
        f"list them: loquela --server {client.url} runs list",
    )


def _key(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise RecipeError(
            ErrorCode.CONFIG_INVALID, f"{path} cannot be read as a key: {error}", "name the file that holds the key"
        ) from error
