"""`loquela init`: a commented recipe to start from, for a text or for documents."""

from __future__ import annotations

import math
from pathlib import Path

import click

from loquela.cli.naming import quoted_path, run_name
from loquela.cli.options import json_option
from loquela.cli.output import emit_json

STORIES = "builtin:stories"

TEMPLATE = """\
# A Loquela recipe. Every key that is left out keeps its default, or follows model.size.
#   check it:      loquela validate {path}
#   look ahead:    loquela plan {path}
#   run it:        loquela run {path}
#   ask about it:  loquela config explain train.learning_rate
schema_version: 1
name: {name}  # runs are called {name}-<time>-<random>
seed: 1337  # the same seed and data give the same weights
output_directory: ./data/

data:
  # A file, a folder, builtin:stories, http(s)://… or gutenberg:<id>; several may be listed.
  sources: [{source}]
  corpus_size_mb: {megabytes}  # for the disk check before anything is downloaded
  validation_fraction: 0.05  # documents held out to measure on

tokenizer:
  method: unigram  # bpe, unigram, wordpiece, char, word, sentencepiece
  vocab_size: {vocab_size}  # {vocab_reason}

model:
  size: tiny  # the dial: tiny, small, medium, gpt2; derives layers, width, batch and learning rate

train:
  epochs: {epochs}  # passes through the text

evaluate:
  # Sampled while training, so that one can read how the model learns.
  prompts: ["Once upon a time", "Había una vez"]
  budgets:
    rss_mb: 400  # the trained model must run in this much memory
"""


@click.command(
    "init",
    epilog="\b\nExample:\n  loquela init story.yaml\n  loquela init mine.yaml --source 'my texts/'\n"
    "  loquela init mybot --docs ./pdfs",
)
@click.argument("path", type=click.Path(path_type=Path), default=Path("recipe.yaml"), metavar="[PATH]")
@click.option(
    "--source",
    default=STORIES,
    show_default=True,
    help="A text file, a folder of text files, builtin:stories, an http(s) address or gutenberg:<id>.",
)
@click.option(
    "--docs",
    metavar="DIR",
    help="Fine-tune on these documents (PDF, DOCX, Markdown, …): PATH becomes a folder with a recipe for them.",
)
@click.option("--base", metavar="MODEL", help="With --docs: the model to fine-tune, instead of the one proposed.")
@json_option
def command(path: Path, source: str, docs: str | None, base: str | None, as_json: bool) -> None:
    """Write a commented recipe for your text or your documents.

    PATH (recipe.yaml) must not exist yet. Vocabulary and epochs are proposed from the size of the text; with --docs,
    the documents are read and base and plan are proposed for this machine.
    """
    from loquela.core.atomic import write_text

    if docs is not None:
        from loquela.cli.init_bot import init_bot

        if source != STORIES:
            raise click.UsageError("--docs and --source are for different recipes; give one of them")
        init_bot(path, docs, base, as_json=as_json)
        return
    if base is not None:
        raise click.UsageError("--base goes with --docs")

    _refuse(path)
    size_bytes = measure(source)
    write_text(path, recipe_text(path, source, size_bytes))
    if as_json:
        emit_json({"recipe": str(path), "source": source, "source_bytes": size_bytes})
        return
    click.echo(f"wrote {path}. Next:")
    click.echo(f"  loquela plan {quoted_path(path)}")
    click.echo(f"  loquela run {quoted_path(path)}")


def recipe_text(path: Path, source: str, size_bytes: int | None) -> str:
    """The recipe for a source of `size_bytes` (None: not known before it is downloaded or made)."""
    from loquela.recipe.dumping import quoted

    vocab_size, vocab_reason = propose_vocabulary(size_bytes)
    return TEMPLATE.format(
        path=quoted_path(path),
        name=run_name(path),
        source=quoted(source),
        megabytes=8 if size_bytes is None else max(1, math.ceil(size_bytes / 1e6)),
        vocab_size=vocab_size,
        vocab_reason=vocab_reason,
        epochs=20 if size_bytes is None or size_bytes < 20_000_000 else 3,
    )


def propose_vocabulary(size_bytes: int | None) -> tuple[int, str]:
    """A vocabulary that a text of this size can fill, and why.

    About one token per 400 bytes leaves every token some hundred occurrences; 8000 is the reference model's.
    """
    if size_bytes is None:
        return 4000, "number of tokens; 8000 for a few MB of books"
    fitting = min(8000, max(500, size_bytes // 400 // 100 * 100))
    return fitting, f"number of tokens; proposed for {size_bytes / 1e6:.2f} MB of text"


def measure(source: str) -> int | None:
    """Bytes of a local source; None for what is made or downloaded later. RecipeError when a path is not there."""
    from loquela.core.errors import ErrorCode, RecipeError

    if source.startswith(("builtin:", "gutenberg:", "http://", "https://")):
        return None
    place = Path(source).expanduser()
    if place.is_file():
        return place.stat().st_size
    if place.is_dir():
        return sum(entry.stat().st_size for entry in place.rglob("*") if entry.is_file())
    raise RecipeError(
        ErrorCode.INVALID_SOURCE,
        f"there is no file or folder {source}",
        f"give a path that exists, {STORIES}, an http(s) address or gutenberg:<id>",
    )


def _refuse(path: Path) -> None:
    from loquela.core.errors import ErrorCode, RecipeError
    from loquela.recipe.layers import SUFFIXES

    if path.exists():
        raise RecipeError(
            ErrorCode.CONFIG_INVALID,
            f"{path} exists already and is kept",
            "choose another name: loquela init other.yaml",
        )
    if path.suffix.lower() not in (".yaml", ".yml"):
        raise RecipeError(
            ErrorCode.UNSUPPORTED_FORMAT,
            f"{path} is no name for a recipe in YAML",
            f"let it end in .yaml or .yml (a recipe may be any of {', '.join(SUFFIXES)})",
        )
