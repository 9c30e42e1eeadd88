"""Does the answer say what was expected?"""

from __future__ import annotations

from collections import Counter

from loquela.evaluation.tuned.metric_contract import AnswerContext
from loquela.evaluation.tuned.metrics.json_answers import NOT_JSON, json_of
from loquela.evaluation.tuned.metrics.text import answer_words


def exact_match(answer: str, context: AnswerContext) -> float | None:
    """1 when answer and expected answer have the same words in the same order, articles, case and marks aside.

    An expected JSON object or list is compared as a value: order of keys and white space do not count. None for rows
    without an expected answer, and for those that expect a refusal, which has many wordings.
    """
    if context.reference is None or context.expects_refusal:
        return None
    wanted = json_of(context.reference)
    if wanted is not NOT_JSON:
        return float(json_of(answer) == wanted)
    return float(answer_words(answer, context.language) == answer_words(context.reference, context.language))


def token_f1(answer: str, context: AnswerContext) -> float | None:
    """Harmonic mean of the shares of words that answer and expected answer have in common (SQuAD, Rajpurkar 2016).

    None as for `exact_match`.
    """
    if context.reference is None or context.expects_refusal:
        return None
    given = Counter(answer_words(answer, context.language))
    wanted = Counter(answer_words(context.reference, context.language))
    if not given or not wanted:
        return float(given == wanted)
    common = (given & wanted).total()
    return 2 * common / (given.total() + wanted.total())
