"""Thin typed adapter around chardet."""

from __future__ import annotations

import codecs
from dataclasses import dataclass
from typing import Protocol, TypedDict

from loquela.data.encoding.names import UTF8_NAMES


class Detection(TypedDict):
    """What chardet answers."""

    encoding: str | None
    confidence: float
    language: str | None


class DetectorModule(Protocol):
    """The part of chardet that is used."""

    def detect(self, data: bytes, *, prefer_superset: bool) -> Detection:
        """Guess the encoding of `data`; the wider of two encodings that read the same."""


@dataclass(frozen=True)
class Guess:
    """An encoding by Python's name."""

    encoding: str
    confidence: float
    language: str | None


def detected(module: DetectorModule, sample: bytes) -> Guess | None:
    """What chardet takes `sample` for; None for nothing, for UTF-8 and for what Python cannot read."""
    answer = module.detect(sample, prefer_superset=True)
    try:
        name = codecs.lookup(answer["encoding"] or "").name
    except LookupError:
        return None
    if name in UTF8_NAMES:
        return None
    return Guess(name, round(min(1.0, answer["confidence"]), 3), answer["language"])
