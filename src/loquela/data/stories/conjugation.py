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
    ("ser", "pret"): ("fue", "fueron"),
    ("ser", "fut"): ("será", "serán"),
    ("ser", "pres"): ("es", "son"),
    ("estar", "pret"): ("estuvo", "estuvieron"),
    ("estar", "pres"): ("está", "están"),
    ("haber", "pres"): ("ha", "han"),
    ("ir", "imp"): ("iba", "iban"),
    ("ir", "pret"): ("fue", "fueron"),
    ("caer", "pret"): ("cayó", "cayeron"),
    ("leer", "pret"): ("leyó", "leyeron"),
    ("poder", "pret"): ("pudo", "pudieron"),
    ("poder", "pres"): ("puede", "pueden"),
    ("tener", "pres"): ("tiene", "tienen"),
    ("valer", "pres"): ("vale", "valen"),
    ("encontrar", "pres"): ("encuentra", "encuentran"),
    ("contar", "pres"): ("cuenta", "cuentan"),
    ("hacer", "pret"): ("hizo", "hicieron"),
    ("quedar", "pres"): ("queda", "quedan"),
    ("servir", "pret"): ("sirvió", "sirvieron"),
}

IRREGULAR_GERUNDS = {"leer": "leyendo", "construir": "construyendo"}


@cache
def conjugate(infinitive: str, tense: str, *, plural: bool) -> str:
    """The third person of `infinitive` in `pret`, `imp` or `pres`."""
    forms = IRREGULAR.get((infinitive, tense))
    if forms is not None:
        return forms[plural]
    return infinitive[:-2] + ENDINGS[tense][infinitive[-2:]][plural]


@cache
def gerund(infinitive: str) -> str:
    """«cantando», «leyendo»."""
    return IRREGULAR_GERUNDS.get(infinitive) or infinitive[:-2] + ("ando" if infinitive.endswith("ar") else "iendo")
