"""The recipe's `qa` section: questions and answers made from the documents of the corpus."""

from __future__ import annotations

from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from loquela.recipe.model_access import ModelAccess

QuestionType = Literal["fact", "definition", "reason", "procedure", "comparison", "cloze"]
QuestionLevel = Literal["basic", "intermediate", "advanced"]
ROWS_WITH_PASSAGE = ("open_book", "both")


class QaSection(ModelAccess):
    """Questions and answers from the corpus, each with evidence found in its chunk (`loquela generate-qa`)."""

    place: ClassVar[str] = "qa"
    to_ask_less: ClassVar[str] = "lower qa.pairs_per_chunk"

    model: str | None = Field(
        None, min_length=1, description="that asks and answers; null: the small Claude model (provider: anthropic)"
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
        if self.provider == "offline":
            self._fits_offline()
        if self.judge_model is not None and not self.judged:
            raise ValueError("judge_model is set, but judge is off; remove one of the two")
        if self.unanswerable_share > 0 and self.rows not in ROWS_WITH_PASSAGE:
            raise ValueError(
                "unanswerable_share needs rows with a passage, or refusals would be all that goes with a passage; "
                "set rows: both, or unanswerable_share: 0"
            )
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
