"""What a base model brings to the rows that it is to learn: its tokenizer, its chat template, its context window."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal

from loquela.artifacts.base import Base, BaseIdentity, base_location, read_base, verify_base
from loquela.core.errors import ErrorCode, RecipeError
from loquela.data.examples.templates import alpaca, chatml
from loquela.data.examples.templates.jinja import JinjaTemplate, ModelNames
from loquela.data.examples.templates.manager import read_template_file
from loquela.inference.chat_template import TemplateFormat
from loquela.recipe.examples_section import ExamplesSection
from loquela.tokenizers.contract import JSON_NAME
from loquela.tokenizers.of_base import base_template
from loquela.tokenizers.template_text import TemplateTokenizer, open_template_tokenizer

# A template that asks for the day writes another text every day.
ASKS_FOR_THE_DAY = "strftime_now"
WEIGHTS = (".safetensors", ".gguf")


@dataclass(frozen=True)
class BaseParts:
    """`template` is the Jinja text of the base's own chat template, None where it has none."""

    identity: BaseIdentity
    tokenizer: TemplateTokenizer
    template: str | None


def read_base_parts(artifact: Path) -> BaseParts:
    """The parts of the artifact "base", its small files proven by their digests.

    Raises DataError: DATA_CHANGED for a file that is not what it was, else as reading the base and its tokenizer.
    """
    identity = read_base(artifact)
    folder = base_location(artifact, identity)
    small = {name: record for name, record in identity.files.items() if not name.endswith(WEIGHTS)}
    verify_base(folder, identity.model_copy(update={"files": small}))
    return BaseParts(identity, open_template_tokenizer(folder), base_template(Base(folder, identity)))


def tokenizer_digest(parts: BaseParts) -> str:
    """SHA-256 of the base's tokenizer.json."""
    return parts.identity.files[JSON_NAME].sha256


def section_for_base(section: ExamplesSection, parts: BaseParts) -> ExamplesSection:
    """The section with the limit and the template that hold for this base.

    RecipeError(CONFIG_INVALID) for a template that the base does not have.
    """
    if section.template == "base" and parts.template is None:
        raise RecipeError(
            ErrorCode.CONFIG_INVALID,
            f"the base {parts.identity.source} has no chat template",
            "write examples.template: alpaca, or custom with a template_file",
        )
    chosen = section.template
    if chosen == "auto":
        chosen = _automatic(parts)
    limit = min(section.max_tokens or parts.identity.context, parts.identity.context)
    return section.model_copy(update={"template": chosen, "max_tokens": limit})


def _automatic(parts: BaseParts) -> Literal["base", "chatml", "alpaca"]:
    """The base's own template, else ChatML where its tokens are known, else headings, which need an end token only."""
    if parts.template is not None:
        return "base"
    lacks_chatml = _missing((chatml.START, chatml.END), parts)
    return "alpaca" if lacks_chatml and "eos_token" in parts.tokenizer.names else "chatml"


def open_base_template(section: ExamplesSection, parts: BaseParts) -> JinjaTemplate:
    """The template of a section that went through `section_for_base`, with what the base calls its tokens. Close it.

    RecipeError(CONFIG_INVALID) for a template that cannot be used, or whose control tokens the base does not have.
    """
    source, origin = _source(section, parts)
    tokenizer = parts.tokenizer
    if section.template == "chatml":
        _check_tokens((chatml.START, chatml.END), parts)
    if section.template == "alpaca" and "eos_token" not in tokenizer.names:
        raise _lacking("an end-of-text token", parts, "write examples.template: custom with a template_file")
    today = datetime.now().date().isoformat() if ASKS_FOR_THE_DAY in source else None
    model = ModelNames(special_tokens=tokenizer.names, controls=tokenizer.controls, date=today)
    return JinjaTemplate(source, origin, name=section.template, model=model)


def answer_ends(template: JinjaTemplate, parts: BaseParts) -> list[int]:
    """The tokens that the template ends an answer with; a chat stops at them, whatever the base itself stops at.

    RecipeError(CONFIG_INVALID) for a template that has no place for a question and an answer.
    """
    form = TemplateFormat(template.source, template.origin, parts.tokenizer)
    form.close()
    return sorted(form.ends)


def _source(section: ExamplesSection, parts: BaseParts) -> tuple[str, str]:
    """The Jinja text and how errors call it."""
    if section.template_file is not None:
        return read_template_file(section.template_file), str(section.template_file)
    if section.template == "base" and parts.template is not None:
        return parts.template, f"the chat template of {parts.identity.source}"
    source = alpaca.JINJA if section.template == "alpaca" else chatml.JINJA
    return source, f"the template {section.template}"


def _check_tokens(texts: tuple[str, ...], parts: BaseParts) -> None:
    """RecipeError unless each text is one token of the base's vocabulary."""
    missing = _missing(texts, parts)
    if missing:
        remedy = "write examples.template: alpaca, or custom with a template_file that uses what there is"
        raise _lacking(" and ".join(missing), parts, remedy)


def _missing(texts: tuple[str, ...], parts: BaseParts) -> list[str]:
    return [text for text in texts if parts.tokenizer.encode(text) != [parts.tokenizer.id_of(text)]]


def _lacking(what: str, parts: BaseParts, remedy: str) -> RecipeError:
    own = "it has no chat template of its own, and " if parts.template is None else ""
    return RecipeError(
        ErrorCode.CONFIG_INVALID,
        f"the base {parts.identity.source} cannot be trained with this template: {own}its vocabulary lacks {what}",
        remedy,
        details={"base": parts.identity.source},
    )
