"""A text's language, as far as its frequent words in plain ASCII letters tell it, and the encodings it is written in.

No classifier: it only has to tell Western texts from others before any byte beyond ASCII can be trusted.
"""

from __future__ import annotations

import re
from collections import Counter

WORDS = {
    "en": "the of and to in that was his with for had you not be her is at on as which",
    "es": "de la que el en los se las por un una con no su para lo como al del le",
    "fr": "de la le et les des en un du une que est pour dans qui par sur au pas il",
    "de": "der die und das den von zu mit sich des auf nicht ein dem ist eine im auch war",
    "it": "di che la il un per non una in con sono del si le da della nel lo gli ma",
    "pt": "de que do da em um uma para com os no na por mais as dos como mas foi ao",
    "nl": "de het een van en in is dat op te zijn met voor niet aan er om ook als dan",
    "ca": "de la que el els les amb per una del als es no va ser com al dels van",
    "sv": "och att det som en av den med till var inte han ett om hade jag de sig men",
    "da": "og at det en af til som den med der ikke han et for var har jeg de men",
    "fi": "ja on ei oli se mutta kun niin hän mukaan vain joka sen ovat ole hänen",
    "tr": "bir ve bu da de ile ne mi daha kadar sonra gibi en ben sen olan her ama ki",
    "pl": "nie na do to jest z w za co po jak od tak ale o i go jego tym przez",
    "cs": "na je v se to z do s ale jako o by jsem pro za po tak jeho od a",
    "hu": "a az hogy nem is egy volt ez meg mint csak de ha el van volt mert azt",
    "ro": "de la cu nu pe un din mai care pentru ce sau dar este ca lui fost prin",
}
WESTERN = frozenset(
    {"en", "es", "fr", "de", "it", "pt", "nl", "ca", "gl", "eu", "sv", "da", "no", "nb", "nn", "fi", "is"}
)
CENTRAL = ("cp1250", "iso8859-2", "cp852")
ENCODINGS: dict[str, tuple[str, ...]] = {
    **{code: ("cp1252", "iso8859-15", "cp850", "cp437", "mac-roman") for code in WESTERN},
    **{code: CENTRAL for code in ("pl", "cs", "sk", "hu", "sl", "hr", "ro")},
    **{code: ("cp1251", "koi8-r", "cp866", "iso8859-5", "mac-cyrillic") for code in ("ru", "bg", "sr", "mk")},
    **{code: ("cp1251", "koi8-u", "cp866", "iso8859-5", "mac-cyrillic") for code in ("uk", "be")},
    **{code: ("cp1257", "iso8859-13", "iso8859-4") for code in ("lt", "lv", "et")},
    "tr": ("cp1254", "cp857", "mac-turkish"),
    "el": ("cp1253", "iso8859-7", "cp737"),
    "he": ("cp1255", "iso8859-8"),
    "ar": ("cp1256", "iso8859-6"),
    "fa": ("cp1256",),
    "th": ("cp874",),
    "vi": ("cp1258",),
    "ko": ("cp949", "johab", "iso2022_kr"),
    "ja": ("cp932", "euc_jp", "iso2022_jp"),
    "zh": ("gb18030", "big5hkscs", "hz"),
}
# Fewer words than this say nothing, and the first language must be this much ahead of the second.
LEAST_WORDS = 4
LEAD = 1.3

_WORD = re.compile(rb"(?<![A-Za-z\x80-\xff])[A-Za-z]{1,8}(?![A-Za-z\x80-\xff])")
_LANGUAGES: dict[bytes, list[str]] = {}
for _code, _words in WORDS.items():
    for _word in _words.split():
        _LANGUAGES.setdefault(_word.encode(), []).append(_code)


def hinted_language(sample: bytes) -> str | None:
    """ISO 639-1 code of the language that the frequent words in `sample` are of; None where they do not tell."""
    counts: Counter[str] = Counter()
    for word, times in Counter(match.lower() for match in _WORD.findall(sample)).items():
        for code in _LANGUAGES.get(word, ()):
            counts[code] += times
    ranked = counts.most_common(2)
    if not ranked or ranked[0][1] < LEAST_WORDS:
        return None
    if len(ranked) > 1 and ranked[0][1] < LEAD * ranked[1][1]:
        return ranked[0][0] if {ranked[0][0], ranked[1][0]} <= WESTERN else None
    return ranked[0][0]
