"""Whether a question is English or Spanish: rules of one language must not touch the other."""

from __future__ import annotations

from loquela.core.text.words import Words

# The most frequent words that the two do not share.
_EN = frozenset(
    "the of and to in is are was for with that this what how why which who where when do does did can could would you "
    "your my it from by an be or not on as write give explain describe list make create find name tell".split()
)
_ES = frozenset(
    "el la los las de del que y en un una por con para es son fue se su al lo como más qué cómo cuál cuáles quién "
    "dónde cuándo tu tus mi este esta estos estas entre sobre escribe explica describe dime dame haz "
    "crea".split()
)


def language_of(text: str) -> str | None:
    """ "en", "es", or None where neither shows clearly."""
    words = Words(text).lower_words
    english = sum(word in _EN for word in words)
    spanish = sum(word in _ES for word in words) + sum(text.count(mark) for mark in "¿¡ñ")
    if english > 2 * spanish:
        return "en"
    return "es" if spanish > 2 * english else None
