"""How many questions and answers a recipe will make, told from its documents before anything is made."""

from __future__ import annotations

from pydantic import Field

from loquela.core.model import BoundaryModel


class QaForecast(BoundaryModel):
    """Numbers of all documents; where only a part was read (`share_read`), in proportion to it."""

    passages: int = Field(ge=0, description="that are worth a question")
    pairs: int = Field(ge=0, description="by rules: that they find; of a model: that it is asked for")
    question_characters: float = Field(ge=0, description="mean")
    answer_characters: float = Field(ge=0, description="mean")
    passage_characters: float = Field(ge=0, description="mean")
    share_read: float = Field(gt=0, le=1, description="of the bytes of the sources")
