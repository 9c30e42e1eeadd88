"""Options of web pages: `web+https://…`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from loquela.core.model import BoundaryModel


class WebOptions(BoundaryModel):
    """Which pages are read; robots.txt is always honoured."""

    start: list[Annotated[str, Field(pattern=r"^https?://")]] = Field(
        [], description="further addresses to start from, on the same host"
    )
    depth: int = Field(0, ge=0, le=100, description="links followed from a start; 0: the start pages alone")
    max_pages: int = Field(100, ge=1, le=1_000_000, description="pages fetched at most; what is left out is counted")
    within: Literal["prefix", "host"] = Field(
        "prefix", description="follow links below the folder of the start address, or on its whole host"
    )
    delay_seconds: float = Field(
        1.0, ge=0, le=3600, description="between two requests to a host; robots.txt may ask for more"
    )
