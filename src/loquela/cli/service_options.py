"""Options that `serve`, `worker` and `keys` share: which service."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click
from pydantic import JsonValue

from loquela.core import extras

if TYPE_CHECKING:
    from loquela.jobs.settings import ServiceSettings

settings_option = click.option(
    "--settings",
    "settings_file",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    metavar="FILE",
    help="TOML file of settings. Environment variables (LOQUELA_PORT, …), .env and options win over it.",
)

data_option = click.option(
    "--data",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Folder of everything: database, runs, artifacts, keys.  [default: loquela-data]",
)


def load(settings_file: Path | None, **given: JsonValue) -> ServiceSettings:
    """The settings in force; an option that was not given says nothing."""
    extras.require("alembic", extra="service", purpose="the service")
    extras.require("fastapi", extra="service", purpose="the service")
    from loquela.jobs.settings import load_settings

    return load_settings(settings_file, os.environ, {key: value for key, value in given.items() if value is not None})
