"""What the judge's verdicts leave of the candidates."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace

from loquela.data.qa.answers import read_answer
from loquela.data.qa.candidates import Candidate
from loquela.data.qa.pairs import Verdict, read_verdicts
from loquela.data.qa.providers.contract import Request
from loquela.data.qa.store import RequestStore


def verdict_reader(count: int) -> Callable[[str], list[Verdict]]:
    """A reader of one verdict for each of `count` pairs."""
    return lambda text: read_verdicts(text, count)


def judged(
    store: RequestStore,
    request: Request,
    language: str | None,
    candidates: Sequence[Candidate],
    least_usefulness: int,
    losses: Counter[str],
) -> list[Candidate]:
    """The candidates of one chunk that the judge lets through, with their verdicts; the others go into `losses`."""
    verdicts, _, fault = read_answer(store, request, language, verdict_reader(len(candidates)))
    if verdicts is None:
        losses[f"judge: {fault}"] += len(candidates)
        return []
    kept: list[Candidate] = []
    for candidate, verdict in zip(candidates, verdicts, strict=True):
        if not verdict.supported:
            losses["judge: not supported by the passage"] += 1
        elif verdict.usefulness < least_usefulness:
            losses["judge: not useful enough"] += 1
        else:
            kept.append(replace(candidate, verdict=verdict))
    return kept
