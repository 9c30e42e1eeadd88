"""DataSourceConnector: proves that a source can be reached and read, and tells how much of what is there.

The same checks and events serve a request from outside (`connect`) and an entry of a recipe (`connected`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path, PurePosixPath
from typing import TypeVar
from uuid import UUID

import httpx
from pydantic import JsonValue, ValidationError

from loquela.core.errors import ErrorCode, LoquelaError, RecipeError
from loquela.data.access.connection_objects import connection_objects
from loquela.data.access.connector_contracts import (
    ConnectionMetadata,
    DataSourceConnectorError,
    DataSourceConnectorRequest,
    DataSourceConnectorResult,
)
from loquela.data.access.source_registry import source_for
from loquela.data.content.kind import DOCUMENT_SUFFIXES
from loquela.data.reading.formats import SUFFIXES
from loquela.data.source_contract import DividedSource, SourceCheck, SourceRequest
from loquela.data.source_object import SourceObject
from loquela.monitoring.events import Bus, trace
from loquela.recipe.schema import DataSection
from loquela.recipe.source_entry import SourceEntry
from loquela.security.credentials import lookup
from loquela.security.credentials.credential import Credential
from loquela.security.credentials.transit import unsealed_for

Found = TypeVar("Found")

COMPONENT = "DataSourceConnector"
# Kind of source → its section of options in an entry.
SECTIONS = {"database": "database", "api": "api", "web": "web", "s3": "objects", "huggingface": "huggingface"}
# Kind of source → what its address begins with; any other is not of that kind.
PREFIXES = {
    "s3": ("s3://",),
    "database": ("sqlite:", "postgresql:"),
    "api": ("api+http", "http"),
    "web": ("web+http", "http"),
    "huggingface": ("hf:",),
}
CONNECTION_CREDENTIAL = "connection"


class DataSourceConnector:
    """Connects under the limits of a recipe's data section; remembers what it connected to."""

    def __init__(self, section: DataSection, downloads: Path, bus: Bus) -> None:
        self._section = section
        self._downloads = downloads
        self._bus = bus
        self._requests: dict[UUID, SourceRequest] = {}

    def connect(self, request: DataSourceConnectorRequest) -> DataSourceConnectorResult:
        """Authenticate, estimate the size, list the formats; nothing is read or kept.

        Raises LoquelaError with the codes AUTH_FAILED, NETWORK_ERROR, INVALID_SOURCE, TIMEOUT, DATA_NOT_FOUND and
        those of the source; each is also published with the specified fields.
        """
        endpoint = request.source_config.endpoint
        asked = _traced(self._bus, shown(endpoint), lambda: self._asked(request))
        checked = connected(asked, self._bus, lambda: source_for(asked.address).check(asked))
        result = DataSourceConnectorResult(
            status="connected",
            metadata=ConnectionMetadata(
                source_size_estimate=checked.size_bytes or 0, available_formats=_formats(asked, checked)
            ),
        )
        self._requests[result.connection_id] = asked
        return result

    def attempt(self, request: DataSourceConnectorRequest) -> DataSourceConnectorResult | DataSourceConnectorError:
        """`connect`, with the specified error in place of an exception."""
        try:
            return self.connect(request)
        except LoquelaError as error:
            return DataSourceConnectorError.of(error)

    def request_of(self, connection_id: UUID) -> SourceRequest:
        """What lies behind a connection; RecipeError(INVALID_SOURCE) for an id that was never given out."""
        if connection_id not in self._requests:
            raise RecipeError(
                ErrorCode.INVALID_SOURCE,
                f"there is no connection {connection_id}",
                "connect first, and use the connection_id of the result",
            )
        return self._requests[connection_id]

    def objects_of(self, connection_id: UUID) -> Sequence[SourceObject]:
        """The objects behind a connection, for a DataStreamReader; RecipeError(INVALID_SOURCE) where there are none."""
        return connection_objects(self.request_of(connection_id))

    def _asked(self, request: DataSourceConnectorRequest) -> SourceRequest:
        entry = _entry(request)
        credentials, endpoint = request.credentials, request.source_config.endpoint
        if credentials.auth_type in ("none", "stored"):
            return SourceRequest(entry, self._section, self._downloads)
        credential = unsealed_for(credentials.credentials_encrypted, endpoint)
        if credential.kind != credentials.auth_type:
            raise RecipeError(
                ErrorCode.AUTH_FAILED,
                f"the sealed credential for {shown(endpoint)} is of kind {credential.kind}, "
                f"not {credentials.auth_type}",
                f"set auth_type: {credential.kind}",
            )

        def find(name: str) -> Credential:
            return credential if name == CONNECTION_CREDENTIAL else lookup.get(name)

        return SourceRequest(entry, self._section, self._downloads, find_credential=find)


def connected(request: SourceRequest, bus: Bus, touch: Callable[[], Found]) -> Found:
    """The result of `touch`, which reaches the source of `request` for the first time, with the component's events."""
    address = shown(request.address)
    trace(bus, COMPONENT, "connection_attempt", source=address, credential=request.entry.credential)
    found = _traced(bus, address, touch)
    trace(bus, COMPONENT, "auth_success", source=address, credential=request.entry.credential)
    trace(bus, COMPONENT, "source_validated", source=address)
    return found


def shown(address: str) -> str:
    """`address` without what may be secret in it: user, password, query."""
    try:
        url = httpx.URL(address)
    except httpx.InvalidURL:
        return address.partition(":")[0] + ":…"
    if not url.host:
        return address
    return f"{url.scheme}://{url.host}{f':{url.port}' if url.port else ''}{url.path}"


def _traced(bus: Bus, address: str, work: Callable[[], Found]) -> Found:
    try:
        return work()
    except LoquelaError as error:
        record = DataSourceConnectorError.of(error)
        trace(bus, COMPONENT, "connection_failed", source=address, **record.model_dump(mode="json"))
        raise


def _entry(request: DataSourceConnectorRequest) -> SourceEntry:
    """The request as an entry of a recipe; RecipeError(INVALID_SOURCE) for what is none."""
    kind, endpoint = request.source_type, request.source_config.endpoint
    prefixes = PREFIXES.get(kind)
    if prefixes is not None and not endpoint.startswith(prefixes):
        raise _no_source(kind, f"its endpoint does not begin with {' or '.join(prefixes)}")
    own = {name: value for name, value in request.source_config.filters.items() if name in SourceEntry.model_fields}
    options = {name: value for name, value in request.source_config.filters.items() if name not in own}
    fields: dict[str, JsonValue] = {**own, "address": endpoint}
    if kind in SECTIONS and (options or kind in ("api", "web")):
        fields[SECTIONS[kind]] = options
    elif options:
        raise _no_source(kind, f"it has no filter {sorted(options)[0]!r}")
    if request.credentials.auth_type == "stored":
        fields["credential"] = request.credentials.credentials_encrypted
    elif request.credentials.auth_type != "none":
        fields["credential"] = CONNECTION_CREDENTIAL
    try:
        return SourceEntry.model_validate(fields)
    except ValidationError as error:
        # Places and rules only: the values may be secrets.
        problems = [
            f"{'.'.join(map(str, found['loc']))}: {found['msg']}".removeprefix(": ")
            for found in error.errors(include_url=False, include_context=False, include_input=False)
        ]
        raise _no_source(kind, "; ".join(problems)) from None


def _no_source(kind: str, what: str) -> RecipeError:
    return RecipeError(
        ErrorCode.INVALID_SOURCE,
        f"the request describes no source of type {kind}: {what}",
        "correct source_config (docs/sources.md tells the keys of every kind)",
    )


def _formats(request: SourceRequest, checked: SourceCheck) -> list[str]:
    """What the check found out, or else what the names of the objects say."""
    if checked.formats:
        return checked.formats
    source = source_for(request.address)
    objects = source.objects(request) if isinstance(source, DividedSource) else []
    names = [found.name for found in objects] or [request.address]
    kinds = {**SUFFIXES, **DOCUMENT_SUFFIXES}
    found = {kinds.get(PurePosixPath(_plain(name)).suffix.lower()) for name in names}
    return sorted(kind for kind in found if kind is not None)


def _plain(name: str) -> str:
    """`name` without the suffix of a compression."""
    return name.removesuffix(".gz").removesuffix(".zst").removesuffix(".bz2").removesuffix(".xz")
