"""Does the model say that it cannot know where it cannot, and only there?

refusal_precision   of the refusals, the share that is right
refusal_recall      of the rows that hold no answer, the share that is refused
over_refusal        of the rows that hold an answer, the share that is refused all the same
"""

from __future__ import annotations

import re

from loquela.evaluation.tuned.metric_contract import AnswerContext, lower_is_better
from loquela.evaluation.tuned.metrics.text import folded

_TEXT = (
    r"(?:passage|text|context|document|excerpt|article|source|information)s?"
    r"|pasaje|texto|contexto|documento|fragmento|información|passage|texte|contexte|testo|brano|passo|abschnitt|kontext"
)
_SAYS = r"(?:say|mention|state|specif|contain|provide|give|tell|answer|include|indicate|describe|address)\w*"
_SAYS_ES = r"(?:dice|menciona|indica|especifica|contiene|da|ofrece|proporciona|responde|aclara)n?"
_CUES = re.compile(
    rf"""\b(?:
        i(?:\ do\ not|\ don['’]?t|\ cannot|\ can['’]?t|(?:\ am|['’]?m)\ (?:not\ able|unable)\ to)\ +
            (?:know|say|tell|answer|find|determine|provide|help|assist)
      | (?:{_TEXT})\ (?:does|do|did)(?:\ not|n['’]?t)\ {_SAYS}
      | (?:{_TEXT})\ (?:gives?|provides?|contains?|has|offers?)\ no\ (?:answer|information|mention|details?)
      | (?:can\ ?not|can['’]t|could\ not|couldn['’]t)\ be\ (?:answered|determined|found|inferred|told)
      | (?:is|are|was|were)(?:\ not|n['’]t)\ (?:mentioned|stated|specified|given|provided|answered)
      | (?:there\ is|there['’]s)\ (?:no|not\ enough|insufficient)\ (?:information|answer|mention|evidence)
      | not\ enough\ information
      | no\ (?:lo\ )?sé | desconozco
      | no\ (?:lo\ )?(?:puedo|se\ puede|es\ posible)\ +(?:responder|saber|determinar|decir)
      | (?:{_TEXT})\ no\ (?:lo\ |la\ )?{_SAYS_ES} | no\ (?:se\ (?:menciona|indica|dice|especifica)|hay\ información)
      | je\ ne\ (?:sais|peux)\ pas | ne\ (?:dit|mentionne|précise|contient|permet)\ pas
      | (?:weiß\ ich|ich\ weiß\ es)\ nicht | (?:steht|sagt|nennt|erwähnt|enthält)\b[^.]{{0,60}}\b(?:nicht|keine?)
      | non\ (?:lo\ so|è\ (?:indicato|menzionato|possibile)|dice|menziona)
      | não\ (?:sei|(?:é\ possível|posso)\ responder|(?:o\ )?(?:diz|menciona|informa))
    )""",
    re.IGNORECASE | re.VERBOSE,
)
_FIRST_SENTENCE = re.compile(r"\s*(.+?(?:[.!?。…](?=\s|$)|\n|$))", re.DOTALL)


def is_refusal(answer: str, refusals: frozenset[str] = frozenset()) -> bool:
    """Whether `answer` says that it cannot be answered: by its first sentence (en, es; some of fr, de, it, pt).

    `refusals` are folded wordings that count too, whole.
    """
    said = folded(answer)
    if said in refusals:
        return True
    first = _FIRST_SENTENCE.match(answer)
    return first is not None and _CUES.search(first.group(1)) is not None


def refusal_correctness(answer: str, context: AnswerContext) -> float | None:
    """1 when the answer refuses just where it should."""
    return float(is_refusal(answer, context.refusals) == context.expects_refusal)


def refusal_precision(answer: str, context: AnswerContext) -> float | None:
    """Of refusals: 1 where one is right."""
    return float(context.expects_refusal) if is_refusal(answer, context.refusals) else None


def refusal_recall(answer: str, context: AnswerContext) -> float | None:
    """Of rows that hold no answer: 1 when it is refused."""
    return float(is_refusal(answer, context.refusals)) if context.expects_refusal else None


@lower_is_better
def over_refusal(answer: str, context: AnswerContext) -> float | None:
    """Of rows that hold an answer: 1 when it is refused."""
    return None if context.expects_refusal else float(is_refusal(answer, context.refusals))
