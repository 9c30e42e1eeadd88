"""Does an answer name its sources, and do they exist?"""

from __future__ import annotations

import re

from loquela.evaluation.tuned.metric_contract import AnswerContext

# [1]  [2, 3]  [4-6]  [^1]  【1】  [doc 2]  [source 3]
_NUMBERED = re.compile(
    r"[\[【]\^?\s*(?:(?:doc(?:ument)?|source|ref|fuente|documento|quelle|document[oe])\s*#?\s*)?"
    r"(\d{1,3}(?:\s*[,;–-]\s*\d{1,3})*)(?:†[^\]】]*)?\s*[\]】](?!\()",
    re.IGNORECASE,
)
# [Source: handbook, p. 3]  (source: …)  Fuente: …
_NAMED = re.compile(
    r"[\[(【]\s*(?:sources?|citations?|ref(?:erence)?s?|fuentes?|quellen?|fonti?)\s*:\s*[^\])】\s][^\])】]*[\])】]"
    r"|^\s*(?:sources?|references?|fuentes?|quellen?|fonti?)\s*:\s*\S",
    re.IGNORECASE | re.MULTILINE,
)
# (Smith, 2019)  (Smith et al. 2019, p. 4)
_AUTHOR = re.compile(r"\(\s*[^\W\d_][^()\d]{1,80}?,?\s+(?:1[5-9]|20)\d\d[a-z]?(?:,[^()]{1,40})?\s*\)")
_MARKDOWN = re.compile(r"\[[^\]]+\]\(\S+\)")


def citation_rate(answer: str, context: AnswerContext) -> float | None:
    """1 when the answer cites, and every number it cites by stands in the passage or the question too, where any does.

    None for rows whose expected answer cites nothing.
    """
    if context.reference is None or not cites(context.reference):
        return None
    return float(cites(answer) and not _invented(answer, f"{context.passage or ''}\n{context.question}"))


def cites(text: str) -> bool:
    """Whether `text` names a source: [1], [source: …], (Author, 1999), a link, a line "Sources: …"."""
    return any(form.search(text) for form in (_NUMBERED, _NAMED, _AUTHOR, _MARKDOWN))


def cited_numbers(text: str) -> set[int]:
    """The numbers of the sources that `text` cites by number; ranges are counted out."""
    found: set[int] = set()
    for match in _NUMBERED.finditer(text):
        for part in re.split(r"[,;]", match.group(1)):
            ends = [int(number) for number in re.findall(r"\d+", part)]
            found.update(range(ends[0], ends[-1] + 1) if ends[-1] >= ends[0] else ends)
    return found


def _invented(answer: str, given: str) -> bool:
    known = cited_numbers(given)
    return bool(known) and not cited_numbers(answer) <= known
