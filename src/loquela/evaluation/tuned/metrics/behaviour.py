"""How the model answers, whatever it says: does it stop, how long is it, how fast.

Times are to know, not to judge by: rows of one batch share them, and the machine may have been busy.
"""

from __future__ import annotations

from loquela.evaluation.tuned.metric_contract import AnswerContext, no_better


def stop_rate(answer: str, context: AnswerContext) -> float | None:
    """1 when the model ended its answer by a stop token within `max_new_tokens`."""
    return float(context.stopped)


@no_better
def answer_tokens(answer: str, context: AnswerContext) -> float | None:
    """Tokens of the answer."""
    return float(context.tokens)


@no_better
def first_token_seconds(answer: str, context: AnswerContext) -> float | None:
    """Seconds from the prompt to the first token, of the row's batch."""
    return context.first_token_seconds


@no_better
def seconds_per_token(answer: str, context: AnswerContext) -> float | None:
    """Seconds between two tokens, of the row's batch; None when the batch had no second one."""
    return context.seconds_per_token
