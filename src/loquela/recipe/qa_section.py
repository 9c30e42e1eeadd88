"""The recipe's `qa` section: questions and answers made from the documents of the corpus."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from loquela.core.model import BoundaryModel

QaProvider = Literal["anthropic", "openai", "offline"]
QuestionType = Literal["fact", "definition", "reason", "procedure", "comparison", "cloze"]
QuestionLevel = Literal["basic", "intermediate", "advanced"]
ROWS_WITH_PASSAGE = ("open_book", "both")


class ModelPrice(BoundaryModel):
    """What one model costs, in US dollars for a million tokens."""

    model: str = Field(min_length=1, description="as it is given to the provider")
    input_usd_per_million_tokens: float = Field(ge=0, le=10_000, description="of the prompt")
    output_usd_per_million_tokens: float = Field(ge=0, le=10_000, description="of the answer")


class QaSection(BoundaryModel):
    """Questions and answers from the corpus, each with evidence found in its chunk (`loquela generate-qa`)."""

    provider: QaProvider = Field(
        "anthropic", description="openai: any endpoint that speaks its protocol; offline: rules, no model, no cost"
    )
    model: str | None = Field(
        None, min_length=1, description="that asks and answers; null: the small Claude model (provider: anthropic)"
    )
    base_url: str | None = Field(
        None, pattern=r"^https?://[^\s@]+$", description="of the endpoint; null: the provider's own"
    )
    credential: str | None = Field(
        None, min_length=1, description="name in the credential store; null: ANTHROPIC_API_KEY or OPENAI_API_KEY"
    )
    pairs_per_chunk: int = Field(3, ge=1, le=20, description="on average; a chunk that says more is asked more")
    question_types: list[QuestionType] | None = Field(
        None, min_length=1, description="null: all but cloze; fact, definition and cloze from the offline provider"
    )
    levels: list[QuestionLevel] = Field(
        ["basic", "intermediate", "advanced"], min_length=1, description="of difficulty, in turn"
    )
    rows: Literal["closed_book", "open_book", "both"] = Field(
        "both", description="closed_book: the question alone; open_book: its passage stands before it"
    )
    unanswerable_share: float = Field(
        0.1,
        ge=0,
        le=0.5,
        description="open-book rows whose passage holds no answer and that are answered by saying so, per answered one",
    )
    judge: bool | None = Field(
        None, description="ask a model whether the passage supports each pair; null: yes, but with provider: offline"
    )
    judge_model: str | None = Field(None, min_length=1, description="that judges; null: the same model")
    judge_min_usefulness: int = Field(3, ge=1, le=5, description="pairs that the judge finds less useful are dropped")
    max_cost_usd: float = Field(
        1.0, ge=0, le=1_000_000, description="no request is sent whose worst case could go beyond this sum"
    )
    prices: list[ModelPrice] = Field([], description="of models whose price is not known, or changed")
    concurrency: int = Field(4, ge=1, le=64, description="requests under way at once; lowered when the provider asks")
    timeout_seconds: float = Field(120.0, gt=0, le=3600, description="that a request may stay without an answer")
    batch: bool = Field(False, description="provider: anthropic: half the price, answers within a day")
    seed: int = Field(1337, ge=0, lt=2**31, description="of the plan and of the rows that are made unanswerable")
    language: str = Field(
        "auto", pattern=r"^(auto|[a-z]{2,3})$", description="of questions and answers; auto: that of each chunk"
    )

    @property
    def judged(self) -> bool:
        """Whether pairs are shown to a judge."""
        return self.provider != "offline" if self.judge is None else self.judge

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.provider == "openai" and self.model is None:
            raise ValueError("provider openai has no default model; name the one that your endpoint serves: qa.model")
        if self.provider == "offline":
            self._fits_offline()
        if self.batch and self.provider != "anthropic":
            raise ValueError("batch needs provider anthropic; set batch: false")
        if self.judge_model is not None and not self.judged:
            raise ValueError("judge_model is set, but judge is off; remove one of the two")
        if self.unanswerable_share > 0 and self.rows not in ROWS_WITH_PASSAGE:
            raise ValueError(
                "unanswerable_share needs rows with a passage, or refusals would be all that goes with a passage; "
                "set rows: both, or unanswerable_share: 0"
            )
        models = [price.model for price in self.prices]
        if len(set(models)) != len(models):
            raise ValueError("prices names a model twice; keep one of the two")
        return self

    def _fits_offline(self) -> None:
        if self.judge:
            raise ValueError("judge needs a model, which provider offline has not; set judge: false")
        if self.model is not None:
            raise ValueError("model is set, but provider offline uses none; remove model, or choose another provider")
        unknown = set(self.question_types or ()) - {"fact", "definition", "cloze"}
        if unknown:
            raise ValueError(
                f"question_types has {', '.join(sorted(unknown))}, which provider offline cannot ask; "
                "it knows fact, definition and cloze"
            )
