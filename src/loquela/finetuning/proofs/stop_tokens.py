"""Every answer that is learnt ends in a token that the model stops at, and that token is learnt too."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from pydantic import JsonValue

from loquela.artifacts.proof import Proof
from loquela.core.errors import ErrorCode
from loquela.finetuning.proofs.renderings import Renderings
from loquela.finetuning.proofs.rows_subject import (
    RowsSubject,
    ShownSequence,
    evenly,
    learnt_answers,
    learnt_runs,
)

NAME = "stop_token"


@dataclass
class _Count:
    answers: int = 0
    stopped: int = 0
    cut: int = 0
    missing: list[str] = field(default_factory=list)


def prove_stop_token(subject: RowsSubject, renderings: Renderings) -> Proof:
    """Per answer: a learnt stretch of tokens that ends in one of the stop ids; plain texts end in one, too.

    Stop ids are the base's own and the token that the template ends an answer with, which a chat stops at. An answer
    whose end was cut off by on_overlong: truncate has none; it is counted apart. Where all tokens are learnt, answers
    are told apart by rendering (2 000 rows evenly drawn where there are more).
    """
    own = frozenset(subject.base.identity.eos_ids)
    stops = own | renderings.ends
    count = _Count()
    everything = subject.template.learn == "all"
    for shown in evenly(subject.sequences) if everything else subject.sequences:
        if shown.example.kind == "text":
            ends = _ends_of_text(subject, shown)
        elif everything:
            ends = _answers_within(renderings, shown, stops)
        else:
            ends = _ends_of_runs(shown, len(learnt_answers(shown.turns, subject.template.learn)), stops)
        _add(subject, shown, ends, stops, count)
    names = {str(token): subject.tokenizer.token_text(token) for token in sorted(stops)}
    numbers: dict[str, JsonValue] = {
        "answers": count.answers,
        "with_stop": count.stopped,
        "cut_off": count.cut,
        "stop_tokens": {**names},
        "of_the_template_alone": [token for token in sorted(renderings.ends - own)],
    }
    return Proof(
        name=NAME,
        passed=not count.missing,
        message=_told(count, ", ".join(names.values())),
        remedy="put the token that ends an answer inside {% generation %} … {% endgeneration %} of the template, or "
        "choose a template whose answers end in a stop token of the base (examples.template)",
        code=ErrorCode.COMPATIBILITY_ERROR,
        numbers=numbers,
    )


def _told(count: _Count, stops: str) -> str:
    if count.missing:
        return (
            f"{len(count.missing)} of {count.answers:,} answers end without a learnt stop token ({stops}), and a model "
            f"that learns them does not stop; the first is in {count.missing[0]}"
        )
    cut = f"; {count.cut} are cut off before it, as examples.on_overlong says" if count.cut else ""
    return f"{count.stopped:,} of {count.answers:,} answers end in a learnt stop token ({stops}){cut}"


def _add(subject: RowsSubject, shown: ShownSequence, ends: list[int], stops: frozenset[int], count: _Count) -> None:
    """`ends` are the places of the last tokens of answers, -1 where an answer has none."""
    for end in ends:
        count.answers += 1
        if end >= 0 and int(shown.ids[end]) in stops and shown.weights[end] > 0:
            count.stopped += 1
        elif subject.is_cut(shown) and end in (-1, len(shown.ids) - 1):
            count.cut += 1
        else:
            count.missing.append(shown.called)


def _ends_of_runs(shown: ShownSequence, answers: int, stops: frozenset[int]) -> list[int]:
    """One end for every answer. Where other turns are learnt too, their stretches need no stop token."""
    ends = [end - 1 for _, end in learnt_runs(shown.weights)]
    while len(ends) > answers and (spare := next((end for end in ends if int(shown.ids[end]) not in stops), None)):
        ends.remove(spare)
    return [*ends[:answers], *[-1] * (answers - len(ends))]


def _answers_within(renderings: Renderings, shown: ShownSequence, stops: frozenset[int]) -> list[int]:
    """The first stop token between an answer's beginning and where its turn ends."""
    found = []
    turns, tools, ids = shown.turns, shown.example.tools, shown.ids.tolist()
    for place in learnt_answers(turns, "all"):
        prompt = renderings.ours(turns[:place], tools, opened=True) or []
        after = renderings.ours(turns[: place + 1], tools) or []
        if ids[: len(prompt)] != prompt or (place < len(turns) - 1 and ids[: len(after)] != after):
            continue  # the template writes this answer otherwise when the conversation goes on
        within = np.array(ids[len(prompt) : len(after)])
        at = np.flatnonzero(np.isin(within, sorted(stops)))
        found.append(len(prompt) + int(at[0]) if len(at) else -1)
    return found


def _ends_of_text(subject: RowsSubject, shown: ShownSequence) -> list[int]:
    """Only the last piece of a text has its end."""
    last = subject.pieces.get((shown.record.example, shown.record.part), 0)
    return [len(shown.ids) - 1] if shown.record.piece == last else []
