"""Numbers and names of a text, written so that two spellings of one fact compare equal."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache

from loquela.core.text.language import function_words
from loquela.core.text.words import Words

_SPACES = " \u00a0\u2009\u202f"
_NUMBER = re.compile(rf"\d{{1,3}}(?:[{_SPACES}]\d{{3}})+(?:[.,]\d+)?(?!\d)|\d+(?:[.,]\d+)*")
_NUMBER_WORDS = {
    "en": "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen "
    "seventeen eighteen nineteen twenty",
    "es": "cero uno dos tres cuatro cinco seis siete ocho nueve diez once doce trece catorce quince dieciséis "
    "diecisiete dieciocho diecinueve veinte",
}
_TENS = {
    "thirty": 30, "forty": 40, "fifty": 50, "sixty": 60, "seventy": 70, "eighty": 80, "ninety": 90, "hundred": 100,
    "thousand": 1000, "million": 1_000_000, "billion": 1_000_000_000,
    "treinta": 30, "cuarenta": 40, "cincuenta": 50, "sesenta": 60, "setenta": 70, "ochenta": 80, "noventa": 90,
    "cien": 100, "ciento": 100, "mil": 1000, "millón": 1_000_000, "millones": 1_000_000,
}  # fmt: skip
_VALUES = {
    **{word: value for words in _NUMBER_WORDS.values() for value, word in enumerate(words.split())},
    **_TENS,
}
# "One" and its like are mostly articles and pronouns.
_ALSO_ARTICLES = {"one", "uno"}
_INNER = re.compile(r"['’-]")
_CAPITAL_START = re.compile(r"(?:^|[.!?…:;]\s+|[\n\"“«¿¡(\[]\s*)$")


@dataclass(frozen=True)
class Numbers:
    """`each` number as the set of values it may be read as, and all of these together."""

    each: tuple[frozenset[str], ...]
    readings: frozenset[str]


def numbers(text: str) -> Numbers:
    """Numbers in digits and in words (en, es). "1.234" may be 1234 or 1.234: both readings are kept."""
    words = word_parts(text)
    each = [_readings(found.group()) for found in _NUMBER.finditer(text)]
    each += [frozenset({str(_VALUES[word])}) for word in words if word in _VALUES and word not in _ALSO_ARTICLES]
    extra = {str(_VALUES[word]) for word in words if word in _ALSO_ARTICLES}
    return Numbers(tuple(each), frozenset().union(*each, extra))


def word_parts(text: str) -> list[str]:
    """The words in lower case, cut at hyphens and apostrophes: "24-yard" is about 24, "Tesla's" about Tesla."""
    return [part for word in Words(text).lower_words for part in _INNER.split(word) if part]


def _readings(written: str) -> frozenset[str]:
    parts = re.split(r"[.,]", re.sub(rf"[{_SPACES}]", "", written))
    readings = {_canonical("".join(parts))} if all(len(part) == 3 for part in parts[1:]) else set()
    if len(parts) > 1:
        readings.add(_canonical("".join(parts[:-1]) + "." + parts[-1]))
    return frozenset(readings)


def _canonical(digits: str) -> str:
    whole, _, fraction = digits.partition(".")
    fraction = fraction.rstrip("0")
    return (whole.lstrip("0") or "0") + (f".{fraction}" if fraction else "")


def names(text: str, language: str | None) -> list[str]:
    """Words that are written as names: capital letters where no sentence begins, or two capitals at its beginning.

    None for German, which writes every noun so, and for scripts without capitals.
    """
    if language == "de":
        return []
    common = function_words(language)
    found: list[str] = []
    words = Words(text).words
    place = 0
    begins: list[bool] = []
    for word in words:
        place = text.index(word, place)
        begins.append(_CAPITAL_START.search(text[max(0, place - 4) : place]) is not None)
        place += len(word)
    for number, word in enumerate(words):
        if not word[0].isupper() or word.lower() in common or word.lower() in _VALUES:
            continue
        follows = number + 1 < len(words) and words[number + 1][0].isupper() and not begins[number + 1]
        inner = any(character.isupper() for character in word[1:])
        if not begins[number] or follows or inner:
            found.append(word)
    return found


@lru_cache(maxsize=1 << 16)
def name_key(word: str) -> str:
    """A name without case, accents, possessive and plural, as names are compared."""
    plain = "".join(c for c in unicodedata.normalize("NFD", word) if unicodedata.category(c) != "Mn").casefold()
    plain = re.sub(r"['’]s?$", "", plain)
    for ending in ("es", "s"):
        if len(plain) - len(ending) >= 4 and plain.endswith(ending):
            return plain[: -len(ending)]
    return plain


def word_keys(text: str) -> set[str]:
    """Every word of `text`, and the parts of those with hyphens, as names are compared."""
    words = Words(text).words
    parts = [part for word in words for part in _INNER.split(word) if part]
    return {name_key(word) for word in (*words, *parts)}
