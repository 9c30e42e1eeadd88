"""The template as it was used, for `template.json`."""

from __future__ import annotations

from loquela.artifacts.examples_facts import TemplateRecord
from loquela.data.examples.of_base import BaseParts, answer_ends
from loquela.data.examples.templates.contract import Template
from loquela.data.examples.templates.jinja import JinjaTemplate
from loquela.recipe.examples_section import ExamplesSection


def template_record(section: ExamplesSection, template: Template, base: BaseParts | None) -> TemplateRecord:
    """What was used; with a base, also what the base calls its tokens, the day, and where answers end."""
    record = TemplateRecord(
        name=template.name,
        syntax=section.template_syntax if section.template == "custom" else "jinja",
        source=template.source,
        system_prompt=section.system_prompt,
        controls=list(template.controls),
        learn=section.learn,
    )
    if base is None or not isinstance(template, JinjaTemplate):
        return record
    return record.model_copy(
        update={
            "for_base": True,
            "special_tokens": dict(base.tokenizer.names),
            "date": template.date,
            "ends": answer_ends(template, base),
        }
    )
