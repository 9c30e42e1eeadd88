"""Options of Hugging Face datasets: `hf:…`."""

from __future__ import annotations

from pydantic import Field

from loquela.core.model import BoundaryModel


class HuggingFaceOptions(BoundaryModel):
    """Which part of a dataset; its text column is the entry's `text`."""

    split: str = Field("train", min_length=1, description="name of the split")
    config: str | None = Field(None, min_length=1, description="name of the configuration; null: the only one")
    revision: str | None = Field(
        None, pattern=r"^[0-9a-f]{40}$", description="commit of a dataset on the hub, which alone does not change"
    )
