"""The stage that makes examples: files and generated questions and answers → an examples folder."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import JsonValue

from loquela.artifacts.context import StageContext, StageResult
from loquela.artifacts.examples_facts import ExamplesFacts
from loquela.artifacts.manifest import read_manifest
from loquela.core.digests import digest_file
from loquela.core.errors import ErrorCode, Interrupted, RecipeError
from loquela.data.examples.augment.rewriter import Rewriter, open_rewriter
from loquela.data.examples.build import Materials, build_examples
from loquela.data.examples.files import example_files
from loquela.data.examples.kinds import check_kinds
from loquela.data.examples.of_base import (
    BaseParts,
    open_base_template,
    read_base_parts,
    section_for_base,
    tokenizer_digest,
)
from loquela.data.examples.templates.contract import Template
from loquela.data.examples.templates.manager import close, open_template
from loquela.data.examples.templates.special_text import control_pattern
from loquela.data.qa.asking import requests_folder
from loquela.data.qa.sending import Patience
from loquela.recipe.examples_section import ExamplesSection
from loquela.recipe.schema import Recipe
from loquela.tokenizers.adopt import adopt
from loquela.tokenizers.contract import TokenizerHandle
from loquela.tokenizers.load import load_tokenizer


def build(context: StageContext) -> StageResult:
    """`examples.sources` and the artifact "qa", where there is one → `examples.jsonl`, `rows/`, `ledger.json`.

    Errors as of `build_examples` and, with a model that rewords, of `Rewriter.ask`; Interrupted on request.
    """
    section = section_of(context.recipe)
    base = _base(context)
    if base is None:
        tokenizer, digest = _tokenizer(section, context.inputs.get("tokenizer"))
        template = open_template(section)
    else:
        section = section_for_base(section, base)
        tokenizer, digest = None, tokenizer_digest(base)
        template = open_base_template(section, base)
    try:
        with _rewriter(context, section, template) as rewriter:
            materials = Materials(
                section=section,
                template=template,
                tokenizer=tokenizer,
                tokenizer_digest=digest,
                base=base,
                generated=context.inputs.get("qa"),
                rewriter=rewriter,
                between_examples=lambda: _stop_if_asked(context),
            )
            facts = build_examples(materials, context.output)
    finally:
        close(template)
    if context.recipe.finetune is not None:
        check_kinds(context.recipe.finetune.task, facts.kinds)
    return StageResult(facts=facts.model_dump(mode="json"), summary=_summary(facts))


def _base(context: StageContext) -> BaseParts | None:
    artifact = context.inputs.get("base")
    return None if artifact is None else read_base_parts(artifact)


def fingerprint(recipe: Recipe) -> dict[str, JsonValue]:
    """What lies in the files of `examples.sources` now, and in the template's and the tokenizer's: path → SHA-256."""
    section = section_of(recipe)
    paths = [path for source in section.sources for path in example_files(source)]
    if section.template_file is not None:
        paths.append(section.template_file.expanduser())
    if section.tokenizer is not None:
        tokenizer = section.tokenizer.expanduser()
        paths += sorted(tokenizer.glob("tokenizer*")) if tokenizer.is_dir() else [tokenizer]
    return {str(path): digest_file(path) for path in dict.fromkeys(paths) if path.is_file()}


def section_of(recipe: Recipe) -> ExamplesSection:
    """The recipe's `examples` section; RecipeError(CONFIG_INVALID) when it has none, or nothing to read."""
    section = recipe.examples
    if section is None or not (section.sources or recipe.qa):
        raise RecipeError(
            ErrorCode.CONFIG_INVALID,
            "the recipe names no examples: neither examples.sources nor a section qa",
            "write examples: {sources: [rows.jsonl]}",
        )
    return section


@contextmanager
def _rewriter(context: StageContext, section: ExamplesSection, template: Template) -> Iterator[Rewriter | None]:
    """The model that rewords, where the recipe asks one, with the answers of all runs below the output directory."""
    rewriting = section.augment.rewriting
    if rewriting is None:
        yield None
        return
    generated = context.inputs.get("qa")
    with open_rewriter(
        rewriting,
        requests_folder(context.recipe.output_directory),
        [*section.sources, None if generated is None else str(generated.resolve())],
        control_pattern(template.controls),
        context.bus,
        context.stop,
        Patience(),
    ) as rewriter:
        yield rewriter


def _tokenizer(section: ExamplesSection, own: Path | None) -> tuple[TokenizerHandle | None, str | None]:
    """The tokenizer to count with and its digest; RecipeError when a limit needs one and there is none."""
    if section.tokenizer is not None:
        return _opened(section.tokenizer.expanduser())
    if own is not None:
        return load_tokenizer(own), read_manifest(own, "tokenizer").digest
    if section.max_tokens is not None:
        raise RecipeError(
            ErrorCode.CONFIG_INVALID,
            "examples.max_tokens needs a tokenizer to count with, and there is none",
            "write examples.tokenizer: <folder or tokenizer.json>",
        )
    return None, None


def _opened(path: Path) -> tuple[TokenizerHandle, str]:
    if path.is_dir():
        files = sorted(path.glob("tokenizer.*"))
        return load_tokenizer(path), digest_file(files[0]) if files else ""
    with tempfile.TemporaryDirectory() as folder:
        adopt(path, Path(folder))
        return load_tokenizer(Path(folder)), digest_file(path)


def _summary(facts: ExamplesFacts) -> str:
    splits = ", ".join(f"{count.examples:,} {split}" for split, count in facts.splits.items() if count.examples)
    train = facts.splits["train"]
    tokens = f"; {train.learnt_tokens:,} of {train.tokens:,} training tokens are learnt" if train.tokens else ""
    dropped = f"; {sum(facts.dropped.values()):,} dropped" if facts.dropped else ""
    limit = f"; at most {facts.max_tokens:,} tokens a row" if facts.base_digest else ""
    return f"{facts.examples:,} examples: {splits}{tokens}{limit}{dropped}"


def _stop_if_asked(context: StageContext) -> None:
    if context.stop.requested:
        raise Interrupted(
            ErrorCode.INTERRUPTED,
            f"stopped while making examples ({context.stop.reason}); finished stages are kept",
            "go on with the same command and --resume auto",
        )
