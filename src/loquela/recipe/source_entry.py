"""One entry of `data.sources` written out: an address and how to read what is there.

A plain string in the list is an entry with that address and every default. Options that only one kind of source has
stand in a section of their own.
"""

from __future__ import annotations

from pydantic import Field

from loquela.core.model import BoundaryModel


class SourceEntry(BoundaryModel):
    """A source: `name` tells two entries with the same address apart (two queries of one database)."""

    address: str = Field(min_length=1, description="file, folder, glob, builtin:stories, or <prefix>:…")
    name: str | None = Field(None, min_length=1, description="what ledger and lineage call it; null: the address")
    language: str | None = Field(
        None, pattern=r"^[a-z]{2,3}$", description="ISO 639 code of all its texts; null: unsaid"
    )

    @property
    def key(self) -> str:
        """What identifies the entry within its recipe."""
        return self.name or self.address
