"""The block of a response record → the page as the server meant it: status, type, charset, body."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from email.message import Message

from loquela.core.errors import DataError, ErrorCode
from loquela.security.content_coding import unpacked
from loquela.security.http_policy import HttpPolicy

HTML_TYPES = frozenset({"text/html", "application/xhtml+xml"})
# What compressed bodies begin with: archives are full of headers that speak of a coding somebody already undid.
CODING_STARTS = {"gzip": b"\x1f\x8b", "x-gzip": b"\x1f\x8b", "zstd": b"\x28\xb5\x2f\xfd"}
LIMITS = HttpPolicy(max_bytes=64 << 20)


@dataclass(frozen=True)
class HttpPayload:
    """`raw_bytes` is the size of the body as it was sent; `body` is it without chunks and compression."""

    status: int
    media_type: str | None
    charset: str | None
    body: bytes
    raw_bytes: int

    @property
    def is_html(self) -> bool:
        """By its declared type, or by its first bytes where none is declared."""
        if self.media_type is not None:
            return self.media_type in HTML_TYPES
        return self.body.lstrip()[:14].lower().startswith((b"<!doctype html", b"<html"))


def http_payload(block: bytes, url: str) -> HttpPayload:
    """The answer in `block`; DataError(CORRUPT_DATA) for what is no HTTP, or unpacks to a bomb."""
    head, separator, raw = _split(block)
    lines = head.decode("latin-1").splitlines()
    status = lines[0].split(None, 2)[1:2] if lines and lines[0].startswith("HTTP/") else []
    if not separator or not status or not status[0].isdigit():
        raise DataError(
            ErrorCode.CORRUPT_DATA,
            f"the record of {url} holds no HTTP answer: it begins with {block[:20]!r}",
            "leave the file out, or tell whoever wrote it",
            details={"url": url},
        )
    headers = _fields(lines[1:])
    kind = Message()
    kind["content-type"] = headers.get("content-type", "")
    return HttpPayload(
        status=int(status[0]),
        media_type=kind.get_content_type() if headers.get("content-type", "").strip() else None,
        charset=kind.get_content_charset(),
        body=_decoded(raw, headers, url),
        raw_bytes=len(raw),
    )


def _split(block: bytes) -> tuple[bytes, bytes, bytes]:
    for separator in (b"\r\n\r\n", b"\n\n"):
        if separator in block:
            return block.partition(separator)
    return block, b"", b""


def _fields(lines: list[str]) -> dict[str, str]:
    fields: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if colon:
            fields.setdefault(name.strip().lower(), value.strip())
    return fields


def _decoded(raw: bytes, headers: Mapping[str, str], url: str) -> bytes:
    body = raw
    if "chunked" in headers.get("transfer-encoding", "").lower():
        body = _dechunked(raw)
    coding = headers.get("content-encoding", "").strip().lower()
    start = CODING_STARTS.get(coding)
    if not body or not coding or coding == "identity" or (start is not None and not body.startswith(start)):
        return body
    parts: list[bytes] = []
    size = 0
    for piece in unpacked([body], coding, url, LIMITS):
        size += len(piece)
        if size > LIMITS.max_bytes:
            raise DataError(
                ErrorCode.CORRUPT_DATA,
                f"the body of {url} unpacks to more than {LIMITS.max_bytes:,} bytes",
                "leave the page out",
                details={"url": url},
            )
        parts.append(piece)
    return b"".join(parts)


def _dechunked(raw: bytes) -> bytes:
    """The body without its chunk sizes (RFC 9112, 7.1); as it is where it has none, or they do not fit it."""
    parts: list[bytes] = []
    position = 0
    while True:
        end = raw.find(b"\n", position, position + 1024)
        size_text = raw[position:end].partition(b";")[0].strip() if end >= 0 else b""
        try:
            size = int(size_text, 16)
        except ValueError:
            return raw
        start = end + 1
        if size == 0:
            return b"".join(parts)
        if size < 0 or start + size > len(raw):
            return raw
        parts.append(raw[start : start + size])
        position = start + size
        position += 2 if raw[position : position + 2] == b"\r\n" else raw[position : position + 1] == b"\n"
