"""The chat template of a model folder: found and read, never run here."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import JsonValue

from loquela.core.errors import DataError, ErrorCode

TEMPLATE_NAME = "chat_template.jinja"
CONFIG_NAME = "tokenizer_config.json"


@dataclass(frozen=True)
class FoundTemplate:
    """A template, the file that it stands in, and how errors call it."""

    source: str
    file: Path
    origin: str


def find_template(places: Sequence[Path]) -> FoundTemplate | None:
    """The template of the first of `places` that has one: a file of its own, or a key of tokenizer_config.json.

    Raises DataError(CORRUPTION) for a file that cannot be read as what it is.
    """
    for place in places:
        alone, config = place / TEMPLATE_NAME, place / CONFIG_NAME
        if alone.is_file():
            return FoundTemplate(_read(alone), alone, str(alone))
        template = _of_config(config) if config.is_file() else None
        if template is not None:
            return FoundTemplate(template, config, f"chat_template of {config}")
    return None


def _of_config(path: Path) -> str | None:
    """The template in a tokenizer_config.json; of several named ones, the default."""
    try:
        config: JsonValue = json.loads(_read(path))
    except ValueError as error:
        raise _damaged(path, str(error)) from error
    template = config.get("chat_template") if isinstance(config, dict) else None
    if isinstance(template, list):
        named = [entry for entry in template if isinstance(entry, dict) and entry.get("name") == "default"]
        template = named[0].get("template") if named else None
    return template if isinstance(template, str) else None


def _read(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8")
    except (OSError, UnicodeError) as error:
        raise _damaged(path, str(error)) from error


def _damaged(path: Path, why: str) -> DataError:
    return DataError(ErrorCode.CORRUPTION, f"{path} cannot be read: {why}", "fetch or export the model again")
