"""Wordings that spoil a pair: speaking of "the text", and negations."""

from __future__ import annotations

import re

from loquela.core.text.words import Words

_TEXT_EN = r"(?:text|passage|paragraph|excerpt|document|article|author|chapter|section above|context)"
_TEXT_ES = r"(?:texto|pasaje|párrafo|fragmento|documento|artículo|autora?|capítulo|extracto|contexto)"
_SPEAKS_OF_TEXT = re.compile(
    rf"""\b(?:
        (?:according\ to|based\ on|as\ (?:stated|mentioned|described)\ (?:in|by)|mentioned\ in|described\ in
           |stated\ in|given\ in|discussed\ in)\s+(?:the|this)\s+(?:given\s+|provided\s+|above\s+)?{_TEXT_EN}
      | in\s+(?:the|this)\s+(?:given\s+|provided\s+|above\s+)?(?:text|passage|paragraph|excerpt)
      | (?:the|this)\s+(?:given\s+|provided\s+)?(?:text|passage|paragraph|excerpt)\s+
           (?:says?|states?|mentions?|describes?|refers?|does|discusses|gives|tells|suggests|explains)
      | (?:does|did)\s+the\s+(?:text|passage|paragraph|excerpt|author)\s+\w+
      | (?:según|de\ acuerdo\ con|conforme\ a|basándose\ en|se\ menciona\ en|mencionad[oa]s?\ en|descrit[oa]s?\ en)
           \s+(?:el|la|este|esta|lo\ que\ dice\ el)\s+{_TEXT_ES}
      | en\s+(?:el|este)\s+(?:texto|pasaje|párrafo|fragmento|extracto)
      | (?:el|este)\s+(?:texto|pasaje|párrafo|fragmento|extracto)\s+(?:dice|menciona|describe|afirma|indica|explica)
      | (?:menciona|dice|describe|afirma|indica)\s+el\s+(?:texto|pasaje|párrafo|fragmento|autor)
    )\b""",
    re.IGNORECASE | re.VERBOSE,
)
_NEGATIONS = {
    "en": "not no never none neither nor nobody nothing nowhere without cannot cant isnt arent wasnt werent dont "
    "doesnt didnt wont wouldnt couldnt shouldnt hasnt havent hadnt",
    "es": "no nunca jamás ninguno ninguna ningún nadie nada tampoco sin ni",
}
_CUES = {language: frozenset(words.split()) for language, words in _NEGATIONS.items()}


def speaks_of_the_text(text: str) -> bool:
    """Whether `text` points at the passage that its reader will not see, in English or Spanish."""
    return _SPEAKS_OF_TEXT.search(text) is not None


def has_negation(text: str, language: str | None) -> bool:
    """Whether `text` denies something, told by its words (en, es; both where the language is another).

    A "No" that opens an answer to a yes-or-no question does not count.
    """
    cues = _CUES.get(language or "") or frozenset().union(*_CUES.values())
    words = [re.sub(r"['’]", "", word) for word in Words(text).lower_words]
    if re.match(r"\s*no\s*[,.;:]", text, re.IGNORECASE):
        words = words[1:]
    return any(word in cues for word in words)
