"""What was too long for the base: none is left, and what became of each is counted to the token."""

from __future__ import annotations

from pydantic import JsonValue

from loquela.artifacts.examples_facts import read_lengths
from loquela.artifacts.examples_ledger import Arrow, Change
from loquela.artifacts.proof import Proof
from loquela.core.errors import ErrorCode
from loquela.finetuning.proofs.rows_subject import RowsSubject

NAME = "overlong"
STEP = "overlong"
CUT = ("frame repeated in every piece", "pieces with nothing to learn")


def prove_overlong(subject: RowsSubject) -> Proof:
    """No text beyond the limit or the base's context; texts measured too long = texts dropped, cut or split.

    Sums of tokens and learnt tokens after the step are those of the rows.
    """
    step = next((arrow for arrow in subject.ledger.arrows if arrow.arrow == STEP), Arrow(arrow=STEP))
    touched = {change.reason: change for change in step.changes if change.reason not in CUT}
    lengths = read_lengths(subject.examples)
    limit, context = subject.facts.max_tokens, subject.base.identity.context
    longest = max((len(shown.ids) for shown in subject.sequences), default=0)
    numbers: dict[str, JsonValue] = {
        "limit": limit,
        "context": context,
        "longest": longest,
        "too_long": lengths.over_limit if lengths else None,
        "tokens_lost": step.tokens_in - step.tokens_out,
        "learnt_tokens_lost": step.learnt_tokens_in - step.learnt_tokens_out,
        "examples": {reason: change.touched for reason, change in touched.items()},
    }
    fault = _fault(subject, step, touched, longest)
    return Proof(
        name=NAME,
        passed=fault is None,
        message=fault or _told(touched, longest, limit),
        remedy=subject.anew,
        code=ErrorCode.SEQUENCE_TOO_LONG,
        numbers=numbers,
    )


def _told(touched: dict[str, Change], longest: int, limit: int | None) -> str:
    parts = [
        f"{change.touched} {reason} ({-change.tokens:,} tokens, {-change.learnt_tokens:,} learnt)"
        for reason, change in touched.items()
    ]
    became = ", ".join(parts) if parts else "none was longer"
    return f"the longest text has {longest:,} of {limit or 0:,} tokens; {became}"


def _fault(subject: RowsSubject, step: Arrow, touched: dict[str, Change], longest: int) -> str | None:
    facts, lengths = subject.facts, read_lengths(subject.examples)
    limit = min(facts.max_tokens or subject.base.identity.context, subject.base.identity.context)
    if longest > limit:
        return f"a text of {longest:,} tokens is left, and the model sees {limit:,}"
    tokens = sum(len(shown.ids) for shown in subject.sequences)
    learnt = sum(int((shown.weights > 0).sum()) for shown in subject.sequences)
    if (step.tokens_out, step.learnt_tokens_out) != (tokens, learnt):
        return (
            f"the rows hold {tokens:,} tokens and {learnt:,} learnt ones, the ledger says {step.tokens_out:,} and "
            f"{step.learnt_tokens_out:,}"
        )
    if lengths is None or lengths.limit != facts.max_tokens:
        return "the lengths of the texts were not measured against this limit"
    # A preference has two texts, of which one or both may be too long.
    examples, most = sum(change.touched for change in touched.values()), lengths.over_limit
    least = (most + 1) // 2 if "preference" in facts.kinds else most
    if not least <= examples <= most:
        return f"{most} texts were too long, but {examples} were dropped, cut or split"
    return None
