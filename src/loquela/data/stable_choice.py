"""Choices that are a function of their key alone, on every machine and in every version of Python."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

from loquela.data.corpus.split import unit_interval

T = TypeVar("T")


def shuffled(items: Iterable[T], key: str) -> list[T]:
    """`items` in the order that `key` draws for them."""
    numbered = list(enumerate(items))
    return [item for _, item in sorted(numbered, key=lambda pair: (unit_interval(key, pair[0]), pair[0]))]
