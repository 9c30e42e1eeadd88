"""Frequent function words by language; a text in a language holds some of them, a list of keywords does not.

English is the list of Gopher (Rae et al. 2021). The others are the same idea: articles, conjunctions, prepositions
and forms of "to be" and "to have" that stand among the most frequent words of each language.
"""

from __future__ import annotations

STOP_WORDS: dict[str, frozenset[str]] = {
    language: frozenset(words.split())
    for language, words in {
        "ca": "el la de i que a en un una els les per amb no és",
        "cs": "a se v na je že to s z do o jako",
        "da": "og i at det er en til af på med der for",
        "de": "der die und in zu den das nicht von sie ist mit ein",
        "en": "the be to of and that have with",
        "es": "de la que el en y a los se las con por no",
        "eu": "eta da ez du bat izan zen dira ere",
        "fi": "ja on ei se että oli hän mutta ovat kun",
        "fr": "de la le et les des en un une que est dans à",
        "gl": "de a o que e do da en un unha os as con",
        "hu": "a az és hogy nem is egy van meg csak",
        "id": "yang dan di dari untuk dengan ini itu pada tidak",
        "it": "di e il la che un una in per non è con le",
        "la": "et in est non ad ut cum quod qui sed",
        "nl": "de het een en van in is dat op te niet met",
        "no": "og i det er en til på som med for ikke av",
        "pl": "i w na z do się nie to że jest o a",
        "pt": "de a o que e do da em um uma os para não com",
        "ro": "de și în la a cu pe un o este nu care",
        "ru": "и в не на я что он с как это по но",
        "sv": "och i att det som en på är av för med inte",
        "tr": "ve bir bu da de için ile çok ne gibi",
        "uk": "і в не на що з я це як до та у",
    }.items()
}


def stop_word_count(words: set[str], language: str | None) -> int | None:
    """Different stop words among `words` (lower case); of the nearest language where none is known.

    None for a language without a list: nothing can be said about it.
    """
    if language is None:
        return max(len(listed & words) for listed in STOP_WORDS.values())
    listed = STOP_WORDS.get(language)
    return None if listed is None else len(listed & words)
