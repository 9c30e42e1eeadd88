"""A tarball on the wire: whole or one part of it (RFC 9110, sections 13 and 14), named by its digest."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain

from starlette.responses import Response, StreamingResponse

from loquela.artifacts.store.packing import proven
from loquela.core.errors import DataError, ErrorCode
from loquela.jobs.archivist import Archivist
from loquela.jobs.artifacts import Artifact

MEDIA_TYPE = "application/x-tar"
RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")


@dataclass(frozen=True)
class Wanted:
    """The headers of a request that say what of it is wanted, and what the caller has already."""

    range: str | None = None
    if_range: str | None = None
    if_none_match: str | None = None


def download(archivist: Archivist, artifact: Artifact, wanted: Wanted) -> Response:
    """200 with all of it, 206 with a part, 304 for a copy that is the same, 416 for a part that it has not.

    What goes wrong before the first byte is raised; what goes wrong later ends the connection, so that nobody takes
    half a tarball, or a damaged one, for a whole one. Several ranges at once are answered with the whole.
    """
    tag = f'"{artifact.sha256}"'
    headers = {
        "etag": tag,
        "accept-ranges": "bytes",
        "content-disposition": f'attachment; filename="{artifact.kind}-{artifact.subject}.tar"',
        "content-security-policy": "sandbox",
    }
    if wanted.if_none_match is not None and _names(wanted.if_none_match, tag):
        return Response(status_code=304, headers=headers)
    size = artifact.size_bytes
    found = RANGE.fullmatch(wanted.range or "") if wanted.if_range in (None, tag) else None
    if found is None or not (found[1] or found[2]):
        return _stream(_whole(archivist, artifact), 200, headers, size)
    start, end = _between(found[1], found[2], size)
    if start >= end:
        return Response(status_code=416, headers=headers | {"content-range": f"bytes */{size}"})
    headers["content-range"] = f"bytes {start}-{end - 1}/{size}"
    return _stream(archivist.read(artifact, start, end), 206, headers, end - start)


def _whole(archivist: Archivist, artifact: Artifact) -> Iterator[bytes]:
    try:
        yield from proven(archivist.read(artifact), artifact.sha256)
    except DataError as error:
        if error.code is not ErrorCode.DATA_CHANGED:
            raise
        raise DataError(
            ErrorCode.CORRUPTION,
            f"the stored {artifact.kind} {artifact.subject} is not what it was: its SHA-256 differs",
            "look what else is damaged: loquela artifacts verify; a run whose folder is still here is stored anew when "
            "its tarball is removed",
        ) from error


def _between(first: str, last: str, size: int) -> tuple[int, int]:
    """The half-open stretch that `first-last` means; `-last` counts from the end."""
    if not first:
        return max(0, size - int(last)), size
    return int(first), min(size, int(last) + 1) if last else size


def _names(sent: str, tag: str) -> bool:
    return sent.strip() == "*" or tag in [each.strip().removeprefix("W/") for each in sent.split(",")]


def _stream(pieces: Iterator[bytes], status: int, headers: dict[str, str], length: int) -> StreamingResponse:
    first = next(pieces, b"")
    own = headers | {"content-length": str(length)}
    return StreamingResponse(chain([first], pieces), status_code=status, headers=own, media_type=MEDIA_TYPE)
