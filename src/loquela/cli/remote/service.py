"""The service that `--server` names, and the runs it knows."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from loquela.core.errors import ErrorCode, RecipeError

if TYPE_CHECKING:
    from loquela.client.answers import Run
    from loquela.client.client import Client

LOOKED_THROUGH = 200
# They name folders and files of this machine wherever they stand.
PLACES = ("output_directory", "data", "settings_file")


def service_in_use(*here: str) -> Client | None:
    """A client of the service that the command line names; None without `--server`.

    UsageError where an option is given that only says something here: those called `here`, and places.
    """
    context = click.get_current_context(silent=True)
    given = context.find_root().params if context is not None else {}
    url, key_file = given.get("server"), given.get("key_file")
    if not isinstance(url, str) or context is None:
        return None
    for name in (*here, *PLACES):
        if is_given(name):
            option = next(each.opts[0] for each in context.command.params if each.name == name)
            raise click.UsageError(f"{option} is for this machine: leave it, or --server, out", context)
    from loquela.client.client import Client

    return Client(url, _key(key_file) if isinstance(key_file, Path) else None)


def required_service(what: str, here: str) -> Client:
    """As `service_in_use`; UsageError without `--server`, with what one does on this machine instead."""
    client = service_in_use()
    if client is None:
        raise click.UsageError(f"{what} for a service: name it with --server; {here}")
    return client


def is_given(name: str) -> bool:
    """Whether the option stands on the command line."""
    source = click.get_current_context().get_parameter_source(name)
    return source is ParameterSource.COMMANDLINE


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


def named_export(client: Client, reference: str) -> tuple[Run, str]:
    """The run and the name of an export: RUN/EXPORT, or RUN/exports/EXPORT; UsageError for anything else."""
    parts = reference.strip("/").split("/")
    if len(parts) not in (2, 3) or not all(parts) or (len(parts) == 3 and parts[1] != "exports"):
        raise click.UsageError(f"with --server, name a run and its export, e.g. latest/onnx-int8; not {reference!r}")
    return named_run(client, parts[0]), parts[-1]


def _key(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise RecipeError(
            ErrorCode.CONFIG_INVALID, f"{path} cannot be read as a key: {error}", "name the file that holds the key"
        ) from error
