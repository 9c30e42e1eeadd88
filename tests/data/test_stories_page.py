"""The page about the stories shows what the generator tells."""

from __future__ import annotations

import re
from pathlib import Path

from loquela.data.stories.story import SCHEMAS, story

PAGE = Path(__file__).parents[2] / "docs" / "stories.md"


def test_the_samples_are_what_the_generator_tells() -> None:
    page = PAGE.read_text(encoding="utf-8")
    blocks = re.findall(r"```text\n(.*?)\n```", page.split("## Two samples")[1], re.DOTALL)
    told = [story(0, 10), story(0, 11)]
    assert blocks == [text for one in told for text in (one.english, one.spanish)]


def test_the_page_counts_the_kinds_of_plot() -> None:
    assert len(SCHEMAS) == 11
    assert "There are eleven kinds" in PAGE.read_text(encoding="utf-8")


def test_the_code_of_the_page_runs() -> None:
    page = PAGE.read_text(encoding="utf-8")
    code = re.search(r"```python\n(.*?)```", page, re.DOTALL)
    assert code is not None
    exec(compile(code[1], str(PAGE), "exec"), {})  # noqa: S102
