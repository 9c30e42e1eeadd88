"""What is known of the models: their prices and which parameters they refuse.

Prices are the providers' own, per million tokens, as published in November 2026; `prices` in the recipe overrides them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from loquela.core.errors import ErrorCode, RecipeError
from loquela.data.qa.providers.contract import Request, Usage
from loquela.recipe.model_access import ModelAccess

DEFAULT_ANTHROPIC_MODEL = "claude-haiku-5-5"
OFFLINE_MODEL = "offline"
MILLION = 1_000_000
# Both providers: written to the cache 1.25 times, read from it a tenth of the price of input; a batch costs half.
CACHE_WRITE_FACTOR = 1.25
CACHE_READ_FACTOR = 0.1
BATCH_FACTOR = 0.5
# No tokenizer makes more tokens than bytes; the frame around the messages and the schema's instructions come on top.
FRAME_TOKENS = 700
# For the estimate only: bytes of a prompt in English or Spanish per token.
TYPICAL_BYTES_PER_TOKEN = 3.0


@dataclass(frozen=True)
class ModelFacts:
    """Prices in US dollars for a million tokens.

    `cache_read_factor` is the price of input that the provider had in its cache, as a share; `thinks` says that the
    model thinks before it answers, at the price of output, unless it is told not to.
    """

    input_usd: float
    output_usd: float
    cache_read_factor: float = 1.0
    takes_temperature: bool = True
    thinks: bool = False

    def cost_usd(self, usage: Usage, *, batch: bool = False) -> float:
        """What an answer cost by the tokens that the provider counted."""
        tokens_in = (
            usage.input_tokens
            + usage.cache_write_tokens * CACHE_WRITE_FACTOR
            + usage.cache_read_tokens * self.cache_read_factor
        )
        cost = (tokens_in * self.input_usd + usage.output_tokens * self.output_usd) / MILLION
        return cost * BATCH_FACTOR if batch else cost

    def worst_usd(self, request: Request, *, batch: bool = False) -> float:
        """The most that one call of `request` can cost."""
        tokens_in = request.prompt_bytes + FRAME_TOKENS
        usage = Usage(cache_write_tokens=tokens_in, output_tokens=request.max_output_tokens)
        return self.cost_usd(usage, batch=batch)

    def expected_usd(self, prompt_bytes: int, output_tokens: int, *, batch: bool = False) -> float:
        """What a prompt of that size and an answer of that length usually cost."""
        usage = Usage(input_tokens=round(prompt_bytes / TYPICAL_BYTES_PER_TOKEN), output_tokens=output_tokens)
        return self.cost_usd(usage, batch=batch)


_KNOWN = {
    "claude-haiku-5-5": ModelFacts(0.10, 0.50, CACHE_READ_FACTOR, takes_temperature=False, thinks=True),
    "claude-sonnet-5-5": ModelFacts(2.0, 10.0, CACHE_READ_FACTOR, takes_temperature=False, thinks=True),
    "claude-haiku-4-5": ModelFacts(1.0, 5.0, CACHE_READ_FACTOR),
    "gpt-6-luna": ModelFacts(0.10, 0.50, CACHE_READ_FACTOR, takes_temperature=False, thinks=True),
    "gpt-6-sol": ModelFacts(2.0, 10.0, CACHE_READ_FACTOR, takes_temperature=False, thinks=True),
}
# A model of theirs that we do not know is taken for one like their newest.
_UNKNOWN = {
    "anthropic": ModelFacts(0.0, 0.0, takes_temperature=False, thinks=True),
    "openai": ModelFacts(0.0, 0.0),
}


def model_name(section: ModelAccess) -> str:
    """The model that asks and answers."""
    if section.provider == "offline":
        return OFFLINE_MODEL
    return section.model or DEFAULT_ANTHROPIC_MODEL


def model_facts(section: ModelAccess, model: str) -> ModelFacts:
    """Facts about `model`; RecipeError(CONFIG_INVALID) without a known price, which would leave the cost uncapped."""
    if model == OFFLINE_MODEL:
        return ModelFacts(0.0, 0.0)
    known = _KNOWN.get(model)
    for price in section.prices:
        if price.model == model:
            base = known or _UNKNOWN[section.provider]
            return replace(
                base, input_usd=price.input_usd_per_million_tokens, output_usd=price.output_usd_per_million_tokens
            )
    if known is None:
        raise RecipeError(
            ErrorCode.CONFIG_INVALID,
            f"the price of {model!r} is not known, so {section.place}.max_cost_usd could not be kept",
            f"say it (0 for a server of your own): {section.place}.prices: [{{model: {model}, "
            "input_usd_per_million_tokens: 0.10, output_usd_per_million_tokens: 0.50}]",
            details={"model": model},
        )
    return known
