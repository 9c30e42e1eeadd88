"""How a recipe says which language model is asked, where, and what that may cost."""

from __future__ import annotations

from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from loquela.core.model import BoundaryModel

ModelProvider = Literal["anthropic", "openai", "offline"]
# What changes neither what is asked nor what is kept: a task goes on when these are changed.
NOT_THE_TASK = {"max_cost_usd", "concurrency", "timeout_seconds", "credential", "prices"}


class ModelPrice(BoundaryModel):
    """What one model costs, in US dollars for a million tokens."""

    model: str = Field(min_length=1, description="as it is given to the provider")
    input_usd_per_million_tokens: float = Field(ge=0, le=10_000, description="of the prompt")
    output_usd_per_million_tokens: float = Field(ge=0, le=10_000, description="of the answer")


class ModelAccess(BoundaryModel):
    """The keys of every section that asks a model.

    `place` is where the section stands in the recipe, `to_ask_less` the edit that asks for less; messages name both.
    """

    place: ClassVar[str]
    to_ask_less: ClassVar[str]

    provider: ModelProvider = Field(
        "anthropic", description="openai: any endpoint that speaks its protocol; offline: rules, no model, no cost"
    )
    model: str | None = Field(None, min_length=1, description="that answers; null: the small Claude model")
    base_url: str | None = Field(
        None, pattern=r"^https?://[^\s@]+$", description="of the endpoint; null: the provider's own"
    )
    credential: str | None = Field(
        None, min_length=1, description="name in the credential store; null: ANTHROPIC_API_KEY or OPENAI_API_KEY"
    )
    max_cost_usd: float = Field(
        1.0, ge=0, le=1_000_000, description="no request is sent whose worst case could go beyond this sum"
    )
    prices: list[ModelPrice] = Field([], description="of models whose price is not known, or changed")
    concurrency: int = Field(4, ge=1, le=64, description="requests under way at once; lowered when the provider asks")
    timeout_seconds: float = Field(120.0, gt=0, le=3600, description="that a request may stay without an answer")
    batch: bool = Field(False, description="provider: anthropic: half the price, answers within a day")

    @model_validator(mode="after")
    def _can_be_reached(self) -> Self:
        if self.provider == "openai" and self.model is None:
            raise ValueError(
                f"provider openai has no default model; name the one that your endpoint serves: {self.place}.model"
            )
        if self.batch and self.provider != "anthropic":
            raise ValueError("batch needs provider anthropic; set batch: false")
        models = [price.model for price in self.prices]
        if len(set(models)) != len(models):
            raise ValueError("prices names a model twice; keep one of the two")
        return self
