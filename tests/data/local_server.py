"""A web server on this machine that can misbehave on purpose."""

from __future__ import annotations

import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

Behaviour = Callable[["Handler"], None]


class LocalServer:
    """Serves `files` with etags and ranges; the next requests of a path in `plans` are answered by those instead.

    `default` answers what is in neither.
    """

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.types: dict[str, str] = {}
        self.plans: dict[str, list[Behaviour]] = {}
        self.default: Behaviour | None = None
        self.seen: list[tuple[str, str, dict[str, str]]] = []
        self.closing = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.owner = self
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()
        self.port = self._server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"

    def close(self) -> None:
        self.closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self.answer(body=False)

    def do_GET(self) -> None:
        self.answer(body=True)

    def answer(self, *, body: bool) -> None:
        owner: LocalServer = self.server.owner
        owner.seen.append((self.command, self.path, {k.lower(): v for k, v in self.headers.items()}))
        self.close_connection = True
        plans = owner.plans.get(self.path, [])
        if plans and body:
            plans.pop(0)(self)
        elif self.path in owner.files:
            self.send_file(owner.files[self.path], owner.types.get(self.path, "text/plain"), body=body)
        elif owner.default is not None and body:
            owner.default(self)
        else:
            self.send_status(404)

    def send_status(self, status: int, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def send_file(self, data: bytes, kind: str = "text/plain", *, body: bool = True) -> None:
        etag = f'"{hash(data)}"'
        start = 0
        wanted = self.headers.get("Range")
        if wanted and self.headers.get("If-Range", etag) == etag:
            start = int(wanted.removeprefix("bytes=").partition("-")[0])
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        else:
            self.send_response(200)
        self.send_header("ETag", etag)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data) - start))
        self.end_headers()
        if body:
            self.wfile.write(data[start:])


def cut_after(count: int) -> Behaviour:
    """Promise the whole file, send `count` bytes, hang up."""

    def behave(handler: Handler) -> None:
        data = handler.server.owner.files[handler.path]
        handler.send_response(200)
        handler.send_header("ETag", f'"{hash(data)}"')
        handler.send_header("Content-Type", "text/plain")
        handler.send_header("Content-Length", str(len(data)))
        handler.end_headers()
        handler.wfile.write(data[:count])

    return behave


def stall(handler: Handler) -> None:
    """Promise something and never send it."""
    handler.send_response(200)
    handler.send_header("Content-Length", "100")
    handler.end_headers()
    handler.wfile.flush()
    handler.server.owner.closing.wait(10)


def status(code: int, **headers: str) -> Behaviour:
    return lambda handler: handler.send_status(code, **headers)


def body(data: bytes, *, status: int = 200, **headers: str) -> Behaviour:
    """Answer with `data` and headers (underscores stand for hyphens)."""

    def behave(handler: Handler) -> None:
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.send_header("Content-Length", str(len(data)))
        handler.end_headers()
        try:
            handler.wfile.write(data)
        except OSError:
            return  # the client has seen enough

    return behave


def drip(handler: Handler) -> None:
    """A byte now and then: never silent for long, never done."""
    handler.send_response(200)
    handler.send_header("Content-Length", "1000000")
    handler.end_headers()
    _drip(handler, b"x")


def drip_headers(handler: Handler) -> None:
    """The same before the body has begun."""
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
    _drip(handler, b"y")


def _drip(handler: Handler, byte: bytes) -> None:
    for _ in range(500):
        try:
            handler.wfile.write(byte)
            handler.wfile.flush()
        except OSError:
            return  # the client has gone
        if handler.server.owner.closing.wait(0.02):
            return
