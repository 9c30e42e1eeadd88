"""The pages of docs/reference, made from the code: `python -m loquela.cli.reference [DIRECTORY]`."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from loquela.cli.error_meanings import MEANINGS
from loquela.cli.main import group
from loquela.core.atomic import write_text
from loquela.core.errors import (
    AccessError,
    DataError,
    InternalError,
    Interrupted,
    LoquelaError,
    ProofError,
    RecipeError,
    ResourceError,
)
from loquela.recipe.derivation import PRESETS
from loquela.recipe.dumping import yaml_value
from loquela.recipe.explain import INFLUENCES
from loquela.recipe.keys import SOURCES_KEY, Key, recipe_keys, recipe_sections, source_keys

DIRECTORY = Path("docs/reference")
NOTE = "<!-- Made by `python -m loquela.cli.reference`; do not edit by hand. -->"
FAMILIES: tuple[type[LoquelaError], ...] = (
    RecipeError,
    DataError,
    ResourceError,
    ProofError,
    AccessError,
    InternalError,
    Interrupted,
)


def pages() -> dict[str, str]:
    """File name → Markdown of every page."""
    return {"recipe.md": recipe_page(), "cli.md": cli_page(), "errors.md": errors_page()}


def recipe_page() -> str:
    """Every key of a recipe."""
    lines = [
        "# Recipe reference",
        "",
        NOTE,
        "",
        "A recipe is one YAML (`.yaml`, `.yml`, `.json`) or TOML (`.toml`) file. A value comes from, the later "
        "winning: the default, the size dial (`model.size`), the file, an environment variable "
        "(`LOQUELA__TRAIN__EPOCHS=3`), `--set train.epochs=3`. `loquela config show` prints every value with its "
        "origin, `loquela config explain KEY` what a key influences, `loquela schema recipe` the JSON Schema for "
        "editors.",
        "",
        "Plain values are read by the rules of YAML 1.2: only `true` and `false` are booleans (`yes`, `no`, `on` and "
        "`off` are text, and booleans only where a boolean is wanted), `1e-3` is a number, dates are text, octal is "
        "written `0o17`, and `010`, which YAML 1.1 and 1.2 read differently, is refused. A single value where a list "
        'is wanted is a list of one. TOML has no null: write `"null"` for a number that may be null.',
        "",
        "## Top level",
        "",
        *_keys_table([key for key in recipe_keys().values() if "." not in key.path]),
    ]
    for section, help_text in recipe_sections().items():
        keys = [key for key in recipe_keys().values() if key.path.rpartition(".")[0] == section]
        lines += ["", f"## {section}", "", help_text, ""]
        if section in INFLUENCES:
            lines += [f"Changes: {INFLUENCES[section]}.", ""]
        lines += _keys_table(keys)
        if section == SOURCES_KEY.partition(".")[0]:
            lines += _entry_of_sources()
    return "\n".join([*lines, "", *_sizes()]) + "\n"


def _keys_table(keys: list[Key]) -> list[str]:
    rows = ["| key | default | allowed | meaning |", "| --- | --- | --- | --- |"]
    for key in keys:
        default = "required" if key.required else f"`{yaml_value(key.default)}`"
        cells = (f"`{key.path}`", default, key.allowed, key.description)
        rows.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return rows


def _entry_of_sources() -> list[str]:
    """The keys of a source that is written out."""
    return [
        "",
        f"### An entry of {SOURCES_KEY}",
        "",
        "A source is an address alone, or a mapping with the key `address` and any of these. `text`, `labels` and "
        "`split_by` are for sources whose records have fields or columns.",
        "",
        *_keys_table([*source_keys().values()]),
    ]


def _sizes() -> list[str]:
    columns = {
        "layers": "num_layers",
        "d_model": "d_model",
        "heads": "num_heads",
        "feed-forward": "dim_feedforward",
        "context": "max_sequence_length",
        "vocabulary": "vocab_size",
        "batch": "batch_size",
        "rows per step": "rows_per_step",
        "learning rate": "learning_rate",
    }
    rows = [
        "## The size dial",
        "",
        "What `model.size` derives for the keys that a recipe leaves out; start-up prints each with its reason. With "
        "an explicit `model.d_model` the heads keep their width and the feed-forward part its ratio; with an explicit "
        "`train.batch_size` the accumulation keeps the rows per optimizer step.",
        "",
        "| size | " + " | ".join(columns) + " | source |",
        "| --- |" + " --- |" * (len(columns) + 1),
    ]
    for size, preset in PRESETS.items():
        cells = [f"{getattr(preset, attribute):g}" for attribute in columns.values()]
        rows.append(f"| {size.value} | " + " | ".join(cells) + f" | {preset.source} |")
    return rows


def cli_page() -> str:
    """The help of every command."""
    context = _context("loquela", None, group)
    lines = [
        "# Command reference",
        "",
        NOTE,
        "",
        "Every command takes `--json`, which prints one JSON object on stdout, errors included as "
        '`{"error": {"code", "message", "remedy", "details", …}}`. Progress goes to stderr. '
        "Colours follow the terminal and `NO_COLOR`.",
        "",
        *_help("loquela", context, group),
    ]
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if command is not None:
            lines += _command(name, context, command)
    return "\n".join(lines).rstrip() + "\n"


def _command(name: str, above: click.Context, command: click.Command) -> list[str]:
    context = _context(name, above, command)
    lines = _help(context.command_path, context, command)
    if isinstance(command, click.Group):
        for below in command.list_commands(context):
            child = command.get_command(context, below)
            if child is not None:
                lines += _command(below, context, child)
    return lines


def _context(name: str, above: click.Context | None, command: click.Command) -> click.Context:
    # A fixed width, so that the page does not depend on the terminal it is made on.
    return command.make_context(name, [], parent=above, resilient_parsing=True, terminal_width=100)


def _help(path: str, context: click.Context, command: click.Command) -> list[str]:
    return [f"## {path}", "", "```text", command.get_help(context), "```", ""]


def errors_page() -> str:
    """Families with exit codes, and every code."""
    lines = [
        "# Error reference",
        "",
        NOTE,
        "",
        "An error says what and where, and the one edit or command that mends it. Its family says by whose fault it is "
        "and gives the exit code; its code says what happened.",
        "",
        "| family | exit code | HTTP | meaning |",
        "| --- | --- | --- | --- |",
    ]
    for family in FAMILIES:
        meaning = (family.__doc__ or "").strip().splitlines()[0]
        lines.append(f"| `{family.__name__}` | {family.exit_code} | {family.http_status} | {meaning} |")
    lines += [
        "",
        "Exit code 0 is success; 130 means interrupted before there was anything to save.",
        "",
        "| code | meaning |",
        "| --- | --- |",
        *(f"| `{code}` | {meaning} |" for code, meaning in MEANINGS.items()),
    ]
    return "\n".join(lines) + "\n"


def write_pages(directory: Path) -> None:
    """Write every page into `directory`."""
    for name, text in pages().items():
        write_text(directory / name, text)


if __name__ == "__main__":
    write_pages(Path(sys.argv[1]) if len(sys.argv) > 1 else DIRECTORY)
