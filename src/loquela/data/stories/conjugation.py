"""Third persons of Spanish verbs: the regular endings, and a table for the verbs that go their own way."""

from __future__ import annotations

from functools import cache

# (singular, plural) by tense and conjugation.
ENDINGS: dict[str, dict[str, tuple[str, str]]] = {
    "pret": {"ar": ("ó", "aron"), "er": ("ió", "ieron"), "ir": ("ió", "ieron")},
    "imp": {"ar": ("aba", "aban"), "er": ("ía", "ían"), "ir": ("ía", "ían")},
    "pres": {"ar": ("a", "an"), "er": ("e", "en"), "ir": ("e", "en")},
}

IRREGULAR: dict[tuple[str, str], tuple[str, str]] = {
    ("ser", "imp"): ("era", "eran"),
    ("ser", "fut"): ("será", "serán"),
    ("ser", "pres"): ("es", "son"),
    ("estar", "pres"): ("está", "están"),
    ("haber", "pres"): ("ha", "han"),
    ("caer", "pret"): ("cayó", "cayeron"),
    ("poder", "pres"): ("puede", "pueden"),
    ("encontrar", "pres"): ("encuentra", "encuentran"),
}

IRREGULAR_GERUNDS = {"leer": "leyendo"}


@cache
def conjugate(infinitive: str, tense: str, *, plural: bool) -> str:
    """The third person of `infinitive` in `pret`, `imp`, `pres` or, for ser, `fut`."""
    forms = IRREGULAR.get((infinitive, tense))
    if forms is not None:
        return forms[plural]
    return infinitive[:-2] + ENDINGS[tense][infinitive[-2:]][plural]


@cache
def gerund(infinitive: str) -> str:
    """«cantando», «leyendo»."""
    return IRREGULAR_GERUNDS.get(infinitive) or infinitive[:-2] + ("ando" if infinitive.endswith("ar") else "iendo")
