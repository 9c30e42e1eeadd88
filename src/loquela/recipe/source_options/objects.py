"""Options of sources in buckets: `s3://`, `gs://`, `az://`."""

from __future__ import annotations

from pydantic import Field

from loquela.core.model import BoundaryModel


class ObjectOptions(BoundaryModel):
    """Where the bucket is and how to ask for it; keys and tokens never stand here."""

    endpoint: str | None = Field(
        None,
        pattern=r"^https?://[^/@\s]+(/[^@\s]*)?$",
        description="address of a server that speaks the bucket's protocol (MinIO, R2, Ceph); null: the cloud's own",
    )
    region: str | None = Field(
        None, pattern=r"^[A-Za-z0-9-]{1,64}$", description="region of an s3 bucket; null: from the environment"
    )
    account: str | None = Field(
        None, pattern=r"^[a-z0-9]{3,24}$", description="storage account of an az container; null: from the environment"
    )
    anonymous: bool = Field(False, description="send no credentials, for a public bucket")
    virtual_hosts: bool = Field(False, description="the bucket is part of the host name, not of the path")
    retries: int = Field(5, ge=0, le=20, description="how often a request that failed for a while is tried again")
