"""What is known of an examples artifact: its manifest's facts, and the template that its rows were made by."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError

from loquela.artifacts.examples_ledger import SplitCount
from loquela.artifacts.manifest import corrupt
from loquela.core.model import BoundaryModel

TEMPLATE_NAME, REPORT_NAME = "template.json", "report.json"


class LengthReport(BoundaryModel):
    """Of all texts before anything is cut: percentiles, and how many have at most so many tokens (and more than the
    bin before). `over_limit` have more than `limit`.
    """

    texts: int
    minimum: int = 0
    p50: int = 0
    p90: int = 0
    p99: int = 0
    maximum: int = 0
    mean: float = 0.0
    limit: int | None = None
    over_limit: int = 0
    histogram: dict[str, int] = Field(default_factory=dict, description="upper bound in tokens → texts")


class ExamplesSplitFacts(BoundaryModel):
    """How the split came about: `near_questions` examples were joined to one with nearly the same question.

    `moved_to_fill_a_split` examples were held out because a wanted split would have been empty; `drawn` counts the
    examples of each split before any was left out for its length or its template.
    """

    examples: int
    components: int
    largest_component: int
    near_questions: int
    too_large_to_hold_out: int
    moved_to_fill_a_split: int
    drawn: dict[str, int]


class ExamplesFacts(BoundaryModel):
    """The manifest facts of an examples artifact made from files."""

    examples: int
    kinds: dict[str, int]
    languages: dict[str, int]
    splits: dict[str, SplitCount]
    template: str
    tokenizer_digest: str | None = Field(description="of the tokenizer that tokens were counted with; null: none was")
    max_tokens: int | None
    base_digest: str | None = Field(None, description="of the base model that the rows were made for; null: none")
    dropped: dict[str, int]


class TemplateRecord(BoundaryModel):
    """`template.json`: the exact template, for holding what is served against what was trained.

    `learn`: every answer of a conversation is learnt, the last one (completion), or all of its tokens. With a base,
    `special_tokens` are what the template calls bos_token and the like, `date` is the day it took for today, and `ends`
    are the tokens that it ends an answer with.
    """

    name: str
    syntax: Literal["jinja", "format"]
    source: str
    system_prompt: str | None
    controls: list[str]
    learn: Literal["assistant", "completion", "all"] = "assistant"
    for_base: bool = False
    special_tokens: dict[str, str] = Field(default_factory=dict)
    date: str | None = None
    ends: list[int] = Field(default_factory=list)


def read_template_record(directory: Path) -> TemplateRecord | None:
    """The record in an examples folder, None where rows went through no template; DataError(CORRUPTION)."""
    path = directory / TEMPLATE_NAME
    if not path.is_file():
        return None
    try:
        return TemplateRecord.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise corrupt(directory, f"{TEMPLATE_NAME} cannot be read as a template") from error


def read_split_facts(directory: Path) -> ExamplesSplitFacts | None:
    """How the split came about, of `report.json`; None where there is none, DataError(CORRUPTION) for a damaged one."""
    if not (directory / REPORT_NAME).is_file():
        return None
    try:
        return ExamplesSplitFacts.model_validate(json.loads((directory / REPORT_NAME).read_bytes())["split"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise corrupt(directory, f"{REPORT_NAME} cannot be read") from error


def read_lengths(directory: Path) -> LengthReport | None:
    """The lengths in `report.json`, None where nothing was measured; DataError(CORRUPTION) when it cannot be read."""
    try:
        found = json.loads((directory / REPORT_NAME).read_bytes())["lengths"]
        return None if found is None else LengthReport.model_validate(found)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise corrupt(directory, f"{REPORT_NAME} cannot be read") from error
