"""A bucket on this machine that speaks to clients of S3, Google Cloud Storage and Azure, and can misbehave."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

Behaviour = Callable[["Handler", bytes], bool]
MODIFIED = "Fri, 02 Jan 2026 03:04:05 GMT"


class LocalBucket:
    """Serves `files` (key → bytes) as the bucket "bucket"; `plans` misbehave once each, when a key is read."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.plans: dict[str, list[Behaviour]] = {}
        self.seen: list[tuple[str, str, dict[str, str]]] = []
        self.closing = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.owner = self
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def reads(self, key: str) -> list[str | None]:
        """The Range header of every GET of `key`."""
        return [headers.get("range") for method, path, headers in self.seen if method == "GET" and path.endswith(key)]

    def close(self) -> None:
        self.closing.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    @property
    def bucket(self) -> LocalBucket:
        return self.server.owner

    def do_HEAD(self) -> None:
        self.answer(body=False)

    def do_GET(self) -> None:
        self.answer(body=True)

    def answer(self, *, body: bool) -> None:
        url = urlsplit(self.path)
        path = unquote(url.path)
        self.bucket.seen.append((self.command, path, {k.lower(): v for k, v in self.headers.items()}))
        query = parse_qs(url.query)
        if "list-type" in query or query.get("comp") == ["list"]:
            self.list(query)
            return
        key = path.removeprefix("/bucket/")
        data = self.bucket.files.get(key)
        if data is None:
            self.send(404, b"<Error><Code>NoSuchKey</Code></Error>" if body else b"")
            return
        plans = self.bucket.plans.get(key) if body else None
        if plans and plans.pop(0)(self, data):
            return
        if self.headers.get("If-Match") not in (None, etag(data)):
            self.send(412, b"<Error><Code>PreconditionFailed</Code></Error>")
            return
        self.send_object(data, body=body)

    def send_object(self, data: bytes, *, body: bool = True, stop_after: int | None = None) -> None:
        start = int((self.headers.get("Range") or "bytes=0-").removeprefix("bytes=").partition("-")[0])
        self.send_response(206 if self.headers.get("Range") else 200)
        self.send_header("Content-Length", str(len(data) - start))
        self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        self.send_header("ETag", etag(data))
        self.send_header("Last-Modified", MODIFIED)
        self.send_header("x-ms-blob-type", "BlockBlob")
        self.end_headers()
        if body:
            self.wfile.write(data[start:] if stop_after is None else data[start : start + stop_after])
            self.wfile.flush()

    def send(self, status: int, content: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def list(self, query: dict[str, list[str]]) -> None:
        prefix = query.get("prefix", [""])[0]
        found = {key: data for key, data in self.bucket.files.items() if key.startswith(prefix)}
        azure = "comp" in query
        items = "".join(blob(key, data) if azure else content(key, data) for key, data in found.items())
        name = "EnumerationResults" if azure else "ListBucketResult"
        inside = f"<Blobs>{items}</Blobs><NextMarker/>" if azure else f"<IsTruncated>false</IsTruncated>{items}"
        self.send(200, f'<?xml version="1.0" encoding="utf-8"?><{name}>{inside}</{name}>'.encode())

    def log_message(self, *arguments: object) -> None:
        pass


def etag(data: bytes) -> str:
    return f'"{hashlib.md5(data, usedforsecurity=False).hexdigest()}"'


def content(key: str, data: bytes) -> str:
    return (
        f"<Contents><Key>{escape(key)}</Key><LastModified>2026-01-02T03:04:05Z</LastModified>"
        f"<ETag>{escape(etag(data))}</ETag><Size>{len(data)}</Size></Contents>"
    )


def blob(key: str, data: bytes) -> str:
    return (
        f"<Blob><Name>{escape(key)}</Name><Properties><Last-Modified>{MODIFIED}</Last-Modified>"
        f"<Etag>{escape(etag(data))}</Etag><Content-Length>{len(data)}</Content-Length>"
        f"<Content-Type>text/plain</Content-Type></Properties></Blob>"
    )


def cut_after(size: int) -> Behaviour:
    """Break the connection after that many bytes of the body."""

    def behave(handler: Handler, data: bytes) -> bool:
        handler.send_object(data, stop_after=size)
        handler.close_connection = True
        return True

    return behave


def stall_after(size: int) -> Behaviour:
    """Send that many bytes and then nothing, until the server closes."""

    def behave(handler: Handler, data: bytes) -> bool:
        handler.send_object(data, stop_after=size)
        handler.bucket.closing.wait(30)
        handler.close_connection = True
        return True

    return behave


def status(code: int, content: bytes = b"") -> Behaviour:
    """Answer with that status."""

    def behave(handler: Handler, data: bytes) -> bool:
        handler.send(code, content)
        return True

    return behave


def changed_to(data: bytes, key: str) -> Behaviour:
    """Somebody writes another object under the key just before it is read."""

    def behave(handler: Handler, old: bytes) -> bool:
        handler.bucket.files[key] = data
        handler.send(412, b"<Error><Code>PreconditionFailed</Code></Error>")
        return True

    return behave
