"""Keeping your own evaluation files out of what is learnt."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from loquela.core.model import BoundaryModel


class DecontaminationSection(BoundaryModel):
    """Documents that repeat `ngram` words in a row of an evaluation file are dropped or redacted."""

    files: list[Path] = Field(
        default_factory=list, description="evaluation files (.jsonl, .json, .txt) that must not be learnt; empty: off"
    )
    fields: list[str] = Field(
        default_factory=list, description="names of the JSON fields to look at, at any depth; empty: every text"
    )
    ngram: int = Field(13, ge=5, le=50, description="words in a row that count as a copy; case and punctuation do not")
    action: Literal["drop", "redact"] = Field("drop", description="what becomes of a document that holds a copy")
