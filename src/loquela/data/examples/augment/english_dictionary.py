"""English words and phrases that can stand for each other whatever stands around them, form by form."""

from __future__ import annotations

import re

from loquela.data.examples.augment.sentences import whole_word

# Each line: forms that correspond, left ↔ right. Only pairs whose meaning and grammar agree in every use.
_PAIRS = """
for example = for instance
for instance = for example
bigger = larger
biggest = largest
largest = biggest
quickly = rapidly
rapidly = quickly
begin = start
begins = starts
buy = purchase
buys = purchases
choose = select
chooses = selects
select = choose
selects = chooses
children = kids
approximately = roughly
roughly = approximately
often = frequently
frequently = often
rarely = seldom
seldom = rarely
usually = typically
typically = usually
almost = nearly
nearly = almost
wealthy = rich
method = technique
methods = techniques
enjoyable = pleasant
perhaps = maybe
maybe = perhaps
entire = whole
kinds of = types of
mistake = error
mistakes = errors
advantage = benefit
advantages = benefits
disadvantage = drawback
disadvantages = drawbacks
drawbacks = disadvantages
in order to = to
useful = helpful
clever = smart
"""
# Not before a pronoun: "Don't you …?" has no long form in that order.
_NO_PRONOUN = r"(?!\s+(?:i|you|we|they|he|she|it|there)\b)"
_CONTRACTIONS = """
don't = do not
doesn't = does not
didn't = did not
can't = cannot
won't = will not
isn't = is not
aren't = are not
wasn't = was not
weren't = were not
shouldn't = should not
wouldn't = would not
couldn't = could not
i'm = I am
you're = you are
we're = we are
they're = they are
i've = I have
you've = you have
we've = we have
i'll = I will
you'll = you will
"""


# What a rule must not stand before: "choose to stay" has no "select to stay".
_NOT_BEFORE = {"choose": r"(?!\s+to\b)", "chooses": r"(?!\s+to\b)"}


def _pairs(text: str) -> list[tuple[str, str]]:
    lines = (line.partition("=") for line in text.split("\n") if line)
    return [(left.strip(), right.strip()) for left, _, right in lines]


def english_rules() -> list[tuple[str, str]]:
    """(regular expression, replacement): what may stand for what."""
    words = [(whole_word(left) + _NOT_BEFORE.get(left, ""), right) for left, right in _pairs(_PAIRS)]
    short, long = [], []
    for left, right in _pairs(_CONTRACTIONS):
        short.append((rf"\b{left.replace(chr(39), '[' + chr(39) + '’]')}\b" + _NO_PRONOUN, right))
        if left.endswith("n't"):
            # The others are not free: "as they are years old", "you have a dog".
            long.append((rf"\b{right}\b(?=\s+\w)" + _NO_PRONOUN, left))
    return [*words, *short, *long]


# "an hour", "a university": what is heard, not what is written, decides.
_SILENT_H = re.compile(r"^(?:hour|hono|heir|honest)", re.IGNORECASE)
_LIKE_YOU = re.compile(r"^(?:uni(?!n|m)|use|usu|eu|one\b|once\b|ut[ie])", re.IGNORECASE)
_ARTICLE = re.compile(r"\b(an?)(\s+)(\w+)", re.IGNORECASE)


def english_agreement(text: str) -> str:
    """`a` and `an` as the word behind them sounds."""

    def agreed(found: re.Match[str]) -> str:
        article, gap, word = found.groups()
        if len(word) == 1 or word.isupper():
            return found.group()  # letters and abbreviations are spelt out loud
        vowel = (word[0].lower() in "aeiou" and not _LIKE_YOU.match(word)) or bool(_SILENT_H.match(word))
        return (article[0] + ("n" if vowel else "")) + gap + word

    return _ARTICLE.sub(agreed, text)
