"""What a plan will cost, before anything is asked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from pydantic import Field

from loquela.core.errors import ErrorCode, ProofError
from loquela.core.model import BoundaryModel
from loquela.data.qa.plan import Plan
from loquela.data.qa.prompts import TYPICAL_TOKENS_PER_PAIR, TYPICAL_TOKENS_PER_VERDICT
from loquela.data.qa.providers.contract import Request
from loquela.data.qa.providers.models import TYPICAL_BYTES_PER_TOKEN, ModelFacts, model_name
from loquela.data.qa.store import RequestStore
from loquela.recipe.qa_section import QaSection

# A small model's usual time for an answer of a few hundred tokens.
SECONDS_PER_REQUEST = 4.0
JUDGE_INSTRUCTIONS_BYTES = 900
PAIR_BYTES = 320


class Estimate(BoundaryModel):
    """Expected numbers; requests `answered_before` cost nothing any more, `spent_usd` is what they did cost."""

    provider: str
    model: str
    judge_model: str | None
    chunks: int
    chunks_asked: int
    chunks_skipped: dict[str, int]
    pairs: int
    requests: int
    answered_before: int
    input_tokens: int
    output_tokens: int
    expected_usd: float = Field(description="of what is still to be asked")
    spent_usd: float
    max_cost_usd: float
    minutes: float | None = Field(description="None for a batch, which may take a day")


def estimate(
    plan: Plan,
    requests: Iterable[Request],
    section: QaSection,
    facts: Mapping[str, ModelFacts],
    store: RequestStore | None,
) -> Estimate:
    """The price of `plan`, whose first requests are `requests`; those in `store` that are answered are not counted.

    Judging is reckoned with every pair of every chunk that is still to be asked.
    """
    judge = (section.judge_model or model_name(section)) if section.judged else None
    known = 0
    count, bytes_in, tokens_out, usd = 0, 0, 0, 0.0
    for request in requests:
        if answered(store, request):
            known += 1
            continue
        pairs = len(plan.chunks[request.chunk].cells)
        out = TYPICAL_TOKENS_PER_PAIR * pairs
        usd += facts[request.model].expected_usd(request.prompt_bytes, out, batch=section.batch)
        count, bytes_in, tokens_out = count + 1, bytes_in + request.prompt_bytes, tokens_out + out
        if judge is not None:
            size = plan.chunks[request.chunk].text_bytes + JUDGE_INSTRUCTIONS_BYTES + PAIR_BYTES * pairs
            out = TYPICAL_TOKENS_PER_VERDICT * pairs
            usd += facts[judge].expected_usd(size, out, batch=section.batch)
            count, bytes_in, tokens_out = count + 1, bytes_in + size, tokens_out + out
    seconds = 0.0 if section.provider == "offline" else count * SECONDS_PER_REQUEST / section.concurrency
    spent = 0.0 if store is None else sum(store.spent_before())
    return Estimate(
        provider=section.provider,
        model=model_name(section),
        judge_model=judge,
        chunks=plan.read,
        chunks_asked=len(plan.chunks),
        chunks_skipped=dict(plan.skipped),
        pairs=plan.pairs,
        requests=count,
        answered_before=known,
        input_tokens=round(bytes_in / TYPICAL_BYTES_PER_TOKEN),
        output_tokens=tokens_out,
        expected_usd=usd,
        spent_usd=spent,
        max_cost_usd=section.max_cost_usd,
        minutes=None if section.batch else round(seconds / 60, 2),
    )


def answered(store: RequestStore | None, request: Request) -> bool:
    """Whether the answer to `request` is there already."""
    before = None if store is None else store.find(request.key)
    return before is not None and before.state == "ok"


def refuse_beyond_cap(found: Estimate) -> None:
    """ProofError(INSUFFICIENT_RESOURCES) when the plan is expected to cost more than it may."""
    total = found.expected_usd + found.spent_usd
    if total <= found.max_cost_usd:
        return
    raise ProofError(
        ErrorCode.INSUFFICIENT_RESOURCES,
        f"{found.pairs} pairs from {found.chunks_asked} chunks are expected to cost ${total:.4f}, "
        f"and qa.max_cost_usd is ${found.max_cost_usd:.4f}; nothing was asked",
        f"set qa.max_cost_usd to at least {total * 1.2:.2f}, or lower qa.pairs_per_chunk",
        details={"expected_usd": total, "max_cost_usd": found.max_cost_usd},
    )
