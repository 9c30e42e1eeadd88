"""Documents that say the same: what counts as a duplicate, and what becomes of it."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from loquela.core.model import BoundaryModel


class DuplicatesSection(BoundaryModel):
    """Duplicates within the corpus. Whatever is kept, near duplicates are always on one side of the split."""

    exact: bool = Field(True, description="drop a document whose text was seen before")
    fold: bool = Field(
        False, description="for that, texts that differ only in Unicode form, case or white space are the same"
    )
    near: Literal["off", "keep", "drop"] = Field(
        "keep",
        description="keep: find them, so that they share a side of the split; drop: keep the first of each cluster",
    )
    threshold: float = Field(
        0.8,
        ge=0.7,
        le=1,
        description="share of common word 5-grams (Jaccard) from which two documents are near duplicates",
    )
