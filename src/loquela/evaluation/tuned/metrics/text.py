"""Answers made comparable: one case, one kind of space, no punctuation, no articles."""

from __future__ import annotations

import unicodedata

from loquela.core.text.words import Words

ARTICLES = {
    "en": frozenset(("a", "an", "the")),
    "es": frozenset(("el", "la", "los", "las", "un", "una", "unos", "unas")),
    "pt": frozenset(("o", "a", "os", "as", "um", "uma", "uns", "umas")),
    "fr": frozenset(("le", "la", "les", "un", "une", "des")),
    "it": frozenset(("il", "lo", "la", "i", "gli", "le", "un", "uno", "una")),
    "de": frozenset(("der", "die", "das", "den", "dem", "des", "ein", "eine", "einen", "einem", "einer", "eines")),
}


def folded(text: str) -> str:
    """The words of `text` in lower case and compatibility form, one space between them; punctuation goes."""
    return " ".join(Words(unicodedata.normalize("NFKC", text)).lower_words)


def answer_words(text: str, language: str | None) -> list[str]:
    """Words to compare answers by: folded, without the articles of `language` (of English where it is not known).

    An answer of nothing but articles keeps them.
    """
    words = folded(text).split()
    articles = ARTICLES.get(language or "en", frozenset())
    return [word for word in words if word not in articles] or words
