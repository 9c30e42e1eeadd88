"""Requests as an attacker writes them: byte by byte, without a library that makes them proper."""

from __future__ import annotations

import json
import socket
from dataclasses import dataclass
from urllib.parse import urlsplit

Headers = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Answer:
    """What came back; status 0 where the connection was ended without a word."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode("utf-8", "replace")

    @property
    def error(self) -> dict:
        return json.loads(self.body)["error"]


def connect(address: str, timeout: float = 30) -> socket.socket:
    where = urlsplit(address)
    return socket.create_connection((where.hostname, where.port), timeout=timeout)


def written(
    address: str, method: str, path: str, headers: Headers = (), body: bytes = b"", *, host: str | None = ""
) -> bytes:
    """A request; `host` empty: the server's own, None: no such header."""
    names = {name.lower() for name, _ in headers}
    lines = [f"{method} {path} HTTP/1.1"]
    if host is not None:
        lines.append(f"Host: {host or urlsplit(address).netloc}")
    lines += [f"{name}: {value}" for name, value in headers]
    if body and not names & {"content-length", "transfer-encoding"}:
        lines.append(f"Content-Length: {len(body)}")
    if body and "content-type" not in names:
        lines.append("Content-Type: application/json")
    if "connection" not in names:
        lines.append("Connection: close")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1") + body


def send(address: str, raw: bytes, timeout: float = 30) -> Answer:
    """Send bytes, and read what comes until the other side has had enough."""
    with connect(address, timeout) as wire:
        try:
            wire.sendall(raw)
            return read(wire)
        except (ConnectionError, TimeoutError):
            return Answer(0, {}, b"")


def read(wire: socket.socket) -> Answer:
    held = b""
    try:
        while part := wire.recv(65_536):
            held += part
    except ConnectionError:
        pass
    return parsed(held)


def parsed(held: bytes) -> Answer:
    head, _, body = held.partition(b"\r\n\r\n")
    lines = head.decode("latin-1").split("\r\n")
    if not lines[0].startswith("HTTP/1.1 "):
        return Answer(0, {}, held)
    headers = {}
    for line in lines[1:]:
        name, _, value = line.partition(": ")
        headers[name.lower()] = value
    return Answer(int(lines[0].split()[1]), headers, body)
