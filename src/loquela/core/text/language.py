"""Which language a short text is in: by its function words, else by its script.

Made for single sentences: a language is told only where its function words outnumber those of every other one.
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from functools import cache

from loquela.core.text.words import Words

_FUNCTION_WORDS = {
    "en": "the of and to in is was for that it with as on by are this his from at be which or an were had not have has "
    "what who when where why how did does do how's its their he she they you but if than then there these those "
    "will would can could should been into about after before during between whose whom",
    "es": "el la los las de del y en que un una unos unas es fue era son con por para se su sus al como más pero qué "
    "quién cuál cuándo dónde cómo cuántos cuántas cuánto lo le les ha han había no este esta estos estas eso esa "
    "ser está entre sobre desde hasta durante según también porque muy sin quiénes cuáles donde cuando",
    "pt": "o os as da do das dos em um uma e é foi são com por para se seu sua ao como mais mas que não na no nas nos "
    "pelo pela quem qual quando onde ele ela isso este esta foram também",
    "fr": "le la les de des du et en que qui un une est était sont avec par pour se son sa ses au aux comme plus mais "
    "dans sur pas ne il elle ils ce cette quel quelle quand où comment pourquoi été leur",
    "it": "il lo la i gli le di del della dei e in che un una è era sono con per si suo sua al come più ma nel nella "
    "non da chi quale quando dove perché anche questo questa stato",
    "de": "der die das und in den von zu mit sich auf für ist war im dem nicht ein eine als auch es an werden aus er "
    "hat dass sie nach wird bei einer um am sind noch wie einem über was wer wann wo warum",
}
_WORDS = {language: frozenset(words.split()) for language, words in _FUNCTION_WORDS.items()}
KNOWN = tuple(_WORDS)


def function_words(language: str | None) -> frozenset[str]:
    """The function words of one language; of all known ones where it is not known."""
    found = _WORDS.get(language or "")
    return frozenset().union(*_WORDS.values()) if found is None else found


def language_of(text: str) -> str | None:
    """ISO 639-1 code of the language whose function words are the most; None when they do not tell."""
    counts = _counts(text).most_common(2)
    if not counts or counts[0][1] < 2 or (len(counts) > 1 and counts[1][1] == counts[0][1]):
        return None
    return counts[0][0]


def is_foreign(text: str, language: str | None, beside: str) -> bool:
    """Whether `text` is clearly not in `language`: more function words of another one, or not the script of `beside`.

    Only words that the expected language does not know too count against it, and one of them is no proof.
    """
    if "" != _script(text) != _script(beside):
        return True
    if language not in _WORDS:
        return False
    own = _WORDS[language]
    words = Words(text).lower_words
    expected = sum(word in own for word in words)
    others = max(sum(word in known and word not in own for word in words) for known in _WORDS.values())
    return others >= 2 and others > expected


def _counts(text: str) -> Counter[str]:
    words = Words(text).lower_words
    return Counter({language: sum(word in known for word in words) for language, known in _WORDS.items()})


def _script(text: str) -> str:
    """First word of the Unicode name of most letters ("LATIN", "CYRILLIC", "CJK"); "" without two letters."""
    scripts = Counter(_script_of(character) for character in text[:2000] if character.isalpha())
    return scripts.most_common(1)[0][0] if scripts.total() > 1 else ""


@cache
def _script_of(character: str) -> str:
    return unicodedata.name(character, "LATIN").partition(" ")[0]
