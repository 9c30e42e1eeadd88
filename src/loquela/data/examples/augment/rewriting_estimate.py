"""What rewordings by a model will cost, before anything is asked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from pydantic import Field

from loquela.core.errors import ErrorCode, ProofError
from loquela.core.model import BoundaryModel
from loquela.data.examples.augment.rewriting_prompt import TYPICAL_TOKENS_BESIDE
from loquela.data.qa.estimate import SECONDS_PER_REQUEST, answered
from loquela.data.qa.providers.contract import Request
from loquela.data.qa.providers.models import TYPICAL_BYTES_PER_TOKEN, ModelFacts, model_name
from loquela.data.qa.store import RequestStore
from loquela.recipe.examples_section import RewritingSection


class RewritingEstimate(BoundaryModel):
    """Expected numbers; requests `answered_before` cost nothing any more, `spent_usd` is what they did cost."""

    provider: str
    model: str
    requests: int
    answered_before: int
    input_tokens: int
    output_tokens: int
    expected_usd: float = Field(description="of what is still to be asked")
    spent_usd: float
    max_cost_usd: float
    minutes: float | None = Field(description="None for a batch, which may take a day")


def estimate(
    requests: Iterable[Request], section: RewritingSection, facts: Mapping[str, ModelFacts], store: RequestStore
) -> RewritingEstimate:
    """The price of `requests`; a rewording is reckoned to be as long as its source."""
    known, count, bytes_in, tokens_out, usd = 0, 0, 0, 0, 0.0
    for request in requests:
        if answered(store, request):
            known += 1
            continue
        size = len(request.turns[0].text.encode("utf-8"))
        out = section.variants * (TYPICAL_TOKENS_BESIDE + round(size / TYPICAL_BYTES_PER_TOKEN))
        usd += facts[request.model].expected_usd(request.prompt_bytes, out, batch=section.batch)
        count, bytes_in, tokens_out = count + 1, bytes_in + request.prompt_bytes, tokens_out + out
    seconds = count * SECONDS_PER_REQUEST / section.concurrency
    return RewritingEstimate(
        provider=section.provider,
        model=model_name(section),
        requests=count,
        answered_before=known,
        input_tokens=round(bytes_in / TYPICAL_BYTES_PER_TOKEN),
        output_tokens=tokens_out,
        expected_usd=usd,
        spent_usd=sum(store.spent_before()),
        max_cost_usd=section.max_cost_usd,
        minutes=None if section.batch else round(seconds / 60, 2),
    )


def refuse_beyond_cap(found: RewritingEstimate) -> None:
    """ProofError(INSUFFICIENT_RESOURCES) when the rewordings are expected to cost more than they may."""
    total = found.expected_usd + found.spent_usd
    if total <= found.max_cost_usd:
        return
    place = RewritingSection.place
    raise ProofError(
        ErrorCode.INSUFFICIENT_RESOURCES,
        f"{found.requests:,} questions to reword are expected to cost ${total:.4f}, and {place}.max_cost_usd is "
        f"${found.max_cost_usd:.4f}; nothing was asked",
        f"set {place}.max_cost_usd to at least {total * 1.2:.4f}, or {RewritingSection.to_ask_less}",
        details={"expected_usd": total, "max_cost_usd": found.max_cost_usd},
    )
