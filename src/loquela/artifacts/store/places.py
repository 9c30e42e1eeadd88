"""Where a store is, as settings and pointers write it: addresses and names, never a secret."""

from __future__ import annotations

from pydantic import Field

from loquela.core.model import BoundaryModel


class StorePlace(BoundaryModel):
    """A store's place; without an address it is the folder `artifacts/` beside the runs."""

    url: str | None = Field(None, description="s3://bucket/prefix or an absolute path")
    endpoint_url: str | None = Field(None, description="of an S3-compatible server that is not AWS")
    credential: str | None = Field(None, description="name of a kept credential of kind key_pair")
