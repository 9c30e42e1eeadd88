"""One door to all templates, as the specification names it."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from loquela.artifacts.examples import Message
from loquela.core.errors import ErrorCode, RecipeError
from loquela.data.examples.augment.variations import instruction_variations
from loquela.data.examples.formats.contents import INPUT_GAP
from loquela.data.examples.templates.alpaca import Alpaca
from loquela.data.examples.templates.chatml import ChatML
from loquela.data.examples.templates.contract import Template
from loquela.data.examples.templates.format_text import FormatTemplate
from loquela.data.examples.templates.jinja import JinjaTemplate
from loquela.data.examples.templates.rendered import Rendered
from loquela.recipe.examples_section import ExamplesSection

Syntax = Literal["jinja", "format"]


class PromptTemplateManager:
    """Formats single questions and answers, and lists other ways to ask."""

    def format_alpaca(self, instruction: str, output: str, given: str = "", system: str | None = None) -> Rendered:
        """Instruction, perhaps an input, and response under Alpaca's headings."""
        return Alpaca().render(_turns(instruction, output, given, system), [])

    def format_chatml(self, instruction: str, output: str, given: str = "", system: str | None = None) -> Rendered:
        """Two turns, or three with a system prompt, between <|im_start|> and <|im_end|>."""
        return ChatML().render(_turns(instruction, output, given, system), [])

    def format_custom(
        self,
        template: str,
        instruction: str,
        output: str,
        given: str = "",
        system: str | None = None,
        syntax: Syntax = "format",
    ) -> Rendered:
        """The same by a template of one's own; RecipeError(CONFIG_INVALID) for one that cannot be used."""
        made = custom_template(template, syntax, "the template")
        try:
            return made.render(_turns(instruction, output, given, system), [])
        finally:
            close(made)

    def get_instruction_variations(self, instruction: str, language: str = "en") -> list[str]:
        """Other ways to put the same instruction or question; none where no rule is sure of its grammar."""
        return [variation.text for variation in instruction_variations(instruction, language)]


def open_template(section: ExamplesSection) -> Template:
    """The template that the recipe names, where there is no base; RecipeError(CONFIG_INVALID). `close` it."""
    if section.template == "base":
        raise RecipeError(
            ErrorCode.CONFIG_INVALID,
            "examples.template: base is the chat template of a base model, and the recipe has no section finetune",
            "write finetune: {base: …}, or examples.template: chatml",
        )
    if section.template_file is None:
        return Alpaca() if section.template == "alpaca" else ChatML()
    source = read_template_file(section.template_file)
    return custom_template(source, section.template_syntax, str(section.template_file))


def custom_template(source: str, syntax: Syntax, origin: str) -> Template:
    """A template by its text; `origin` names it in messages."""
    return JinjaTemplate(source, origin) if syntax == "jinja" else FormatTemplate(source, origin)


def close(template: Template) -> None:
    """End the process that a Jinja template holds."""
    if isinstance(template, JinjaTemplate):
        template.close()


def read_template_file(path: Path) -> str:
    """The text of examples.template_file; RecipeError(CONFIG_INVALID) when it cannot be read."""
    try:
        return path.expanduser().read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise RecipeError(
            ErrorCode.CONFIG_INVALID,
            f"cannot read examples.template_file {path}: {error}",
            "give a template in a UTF-8 file",
            details={"path": str(path)},
        ) from error


def _turns(instruction: str, output: str, given: str, system: str | None) -> list[Message]:
    before = [Message(role="system", content=system)] if system else []
    head = instruction + INPUT_GAP if given else instruction
    asked = Message(role="user", content=head + given, input_start=len(head) if given else None)
    return [*before, asked, Message(role="assistant", content=output)]
