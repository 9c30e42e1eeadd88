"""Values of a YAML recipe are changed where they stand; every other character stays."""

from __future__ import annotations

import pytest

from loquela.core.errors import RecipeError
from loquela.recipe.editing import set_values

TEXT = """\
# my bot
name: bot
finetune:
  base: some/model  # the base
  # rows
  batch_size: 16  # at once
data: {seed: 3}
compute:
"""


def test_values_are_replaced_and_added_where_they_belong():
    values = {
        "finetune.batch_size": 2,
        "finetune.gradient_accumulation_steps": 8,
        "data.stories": 40,
        "compute.gradient_checkpointing": True,
        "train.epochs": 4,
    }
    assert (
        set_values(TEXT, values, "recipe.yaml")
        == """\
# my bot
name: bot
finetune:
  gradient_accumulation_steps: 8
  base: some/model  # the base
  # rows
  batch_size: 2  # at once
data: {stories: 40, seed: 3}
compute:
  gradient_checkpointing: true

train:
  epochs: 4
"""
    )


def test_comments_stay_above_the_key_they_speak_of():
    text = "a:\n  # about b\n  # and more\n  b: 1\n"
    assert set_values(text, {"a.c": 2}, "x") == "a:\n  c: 2\n  # about b\n  # and more\n  b: 1\n"


def test_an_empty_file_and_one_without_a_last_line_end():
    assert set_values("", {"a.b": 1}, "x").strip() == "a:\n  b: 1"
    assert set_values("a: 1", {"b": "yes"}, "x") == 'a: 1\n\nb: "yes"\n'


def test_what_cannot_be_edited_safely_is_left_alone():
    shared = "a: &all\n  b: 1\nc: *all\n"
    with pytest.raises(RecipeError, match="cannot be edited without changing something else") as caught:
        set_values(shared, {"a.b": 2}, "my.yaml")
    assert caught.value.remedy == "set by hand: a.b: 2"
