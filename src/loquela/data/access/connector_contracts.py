"""Request, result and error of the DataSourceConnector, with the fields that its specification gives."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Literal, Self
from uuid import UUID, uuid4

from pydantic import Field, JsonValue

from loquela.core.errors import ErrorCode, LoquelaError
from loquela.core.model import BoundaryModel

SourceType = Literal["s3", "database", "api", "web", "local", "huggingface"]
AuthType = Literal["none", "stored", "bearer", "basic", "header", "key_pair"]
ConnectorCode = Literal["AUTH_FAILED", "NETWORK_ERROR", "INVALID_SOURCE"]


class ConnectionCredentials(BoundaryModel):
    """`credentials_encrypted`: with auth_type none empty, with stored the name of a kept credential, otherwise one of
    that kind, sealed for the endpoint (`security/credentials/transit.py`)."""

    auth_type: AuthType = "none"
    credentials_encrypted: str = ""


class SourceConfig(BoundaryModel):
    """`endpoint` is an address as in `data.sources`; `filters` are the keys of an entry and of its options."""

    endpoint: str = Field(min_length=1)
    filters: dict[str, JsonValue] = Field(default_factory=dict)


class DataSourceConnectorRequest(BoundaryModel):
    """Where to connect to, and as whom."""

    source_type: SourceType
    credentials: ConnectionCredentials = Field(default_factory=ConnectionCredentials)
    source_config: SourceConfig


class ConnectionMetadata(BoundaryModel):
    """`source_size_estimate` in bytes, 0 where nothing tells it."""

    source_size_estimate: int
    available_formats: list[str]


class DataSourceConnectorResult(BoundaryModel):
    """A connection; a failed one has nothing behind its id."""

    connection_id: UUID = Field(default_factory=uuid4)
    status: Literal["connected", "failed"]
    metadata: ConnectionMetadata


class DataSourceConnectorError(BoundaryModel):
    """Why there is no connection."""

    error_code: ConnectorCode
    message: str
    timestamp: datetime
    retry_possible: bool

    @classmethod
    def of(cls, error: LoquelaError) -> Self:
        """The record of `error`, now; other codes become the nearest of the three."""
        codes: dict[ErrorCode, ConnectorCode] = {
            ErrorCode.AUTH_FAILED: "AUTH_FAILED",
            ErrorCode.NETWORK_ERROR: "NETWORK_ERROR",
            ErrorCode.TIMEOUT: "NETWORK_ERROR",
        }
        return cls(
            error_code=codes.get(error.code, "INVALID_SOURCE"),
            message=error.message,
            timestamp=datetime.now(UTC),
            retry_possible=error.retryable,
        )
