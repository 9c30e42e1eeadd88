"""Names pick factories, loaded late; an unknown name is answered with the nearest."""

import sys

import pytest

from loquela.core.entry import resolve
from loquela.core.errors import ErrorCode, InternalError, RecipeError
from loquela.core.near_names import nearest, unknown_name
from loquela.core.registry import Registry


def test_a_factory_is_imported_when_asked_for() -> None:
    registry: Registry[object] = Registry("thing", "loquela.test_things")
    registry.register("fractions", "fractions:Fraction")
    registry.register("absent", "no_such_module_anywhere:make")
    assert registry.names() == ["absent", "fractions"]
    assert str(registry.get("fractions")) == "0"
    assert "no_such_module_anywhere" not in sys.modules


def test_an_unknown_name_is_answered_with_the_nearest() -> None:
    registry: Registry[object] = Registry("tokenizer", "loquela.test_things")
    registry.register("bpe", "fractions:Fraction")
    registry.register("unigram", "fractions:Fraction")
    with pytest.raises(
        RecipeError, match=r"no such tokenizer 'bep'; did you mean 'bpe'\? known: bpe, unigram"
    ) as caught:
        registry.get("bep")
    assert caught.value.code is ErrorCode.NOT_REGISTERED
    assert "loquela.test_things" in caught.value.remedy


def test_two_things_of_one_name_are_refused() -> None:
    registry: Registry[object] = Registry("thing", "loquela.test_things")
    registry.register("a", "x:y")
    registry.register("a", "x:y")
    with pytest.raises(InternalError, match="thing 'a' is registered twice: x:y and z:y"):
        registry.register("a", "z:y")


def test_nothing_near_gives_no_hint() -> None:
    assert nearest("zzzz", ["bpe"]) is None
    assert unknown_name("stage", "zzzz", ["train"]) == "no such stage 'zzzz'; known: train"


def test_an_entry_is_resolved_by_name() -> None:
    assert resolve("json:dumps")({"a": 1}) == '{"a": 1}'
