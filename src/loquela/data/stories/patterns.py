"""Reads the wording of an event: literal text with slots such as `{the thing}` or `{adj mood hero}`.

A slot is `form role …`. Three short forms exist: `{hero}` (subject), `{hero*}` (full reference) and
`{=home}` (another phrase set in here). A pattern is read once and kept.
"""

from __future__ import annotations

import re
from typing import NamedTuple

SLOT = re.compile(r"\{([^{}]+)\}")


class Piece(NamedTuple):
    """A literal (`form` empty) or a slot; `capital` when the slot opens a sentence."""

    literal: str
    form: str
    role: str
    extra: str
    capital: bool


def _read_slot(body: str, capital: bool) -> Piece:
    words = body.split()
    if len(words) == 1:
        word = words[0]
        if word.startswith("="):
            return Piece("", "=", word[1:], "", capital)
        if word.endswith("*"):
            return Piece("", "full", word[:-1], "", capital)
        if word.endswith("'s"):
            return Piece("", "'s", word[:-2], "", capital)
        return Piece("", "subject", word, "", capital)
    return Piece("", words[0], words[1], " ".join(words[2:]), capital)


def opens_sentence_english(before: str) -> bool:
    """True if a word put after `before` begins a sentence; a tag after `?"` does not."""
    text = before.rstrip(" ")
    if not text:
        return True
    if text.endswith('"'):
        return text.count('"') % 2 == 1 or text[-2:-1] == "."
    return text[-1] in ".!?"


def opens_sentence_spanish(before: str) -> bool:
    """True if a word put after `before` begins a sentence, skipping an opening raya, ¿ or ¡."""
    text = before.rstrip(" ¿¡—")
    return not text or text[-1] in ".!?"


def read_pattern(pattern: str, *, spanish: bool) -> tuple[Piece, ...]:
    """The pieces of `pattern` in order."""
    opens = opens_sentence_spanish if spanish else opens_sentence_english
    pieces: list[Piece] = []
    end = 0
    for match in SLOT.finditer(pattern):
        if match.start() > end:
            pieces.append(Piece(pattern[end : match.start()], "", "", "", False))
        pieces.append(_read_slot(match[1], opens(pattern[: match.start()])))
        end = match.end()
    if end < len(pattern):
        pieces.append(Piece(pattern[end:], "", "", "", False))
    return tuple(pieces)
