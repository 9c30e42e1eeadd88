"""A small hub on this machine: model info, tree, resolve with commit and etag headers, large files on another host."""

from __future__ import annotations

import hashlib
import json
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

LARGE = (".safetensors", ".bin")


@dataclass
class HubModel:
    """Files by commit; the last commit is the newest."""

    commits: dict[str, dict[str, bytes]] = field(default_factory=dict)
    token: str | None = None
    gated: bool = False

    def commit_of(self, revision: str) -> str | None:
        newest = list(self.commits)[-1]
        return newest if revision == "main" else (revision if revision in self.commits else None)


class Hub:
    """Serves `models`; `seen` has every request, `served` the bytes of each large file that were asked for."""

    def __init__(self) -> None:
        self.models: dict[str, HubModel] = {}
        self.seen: list[tuple[str, str, dict[str, str]]] = []
        self.stored: dict[str, bytes] = {}
        self.status: int | None = None
        self.break_after: int | None = None
        self.stall = False
        self.closing = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        self._server.daemon_threads = True
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

    def paths(self, prefix: str = "") -> list[str]:
        return [path for _, path, _ in self.seen if path.startswith(prefix)]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self._answer(body=True)

    def _answer(self, *, body: bool) -> None:
        hub: Hub = self.server.owner
        path = urlsplit(self.path).path
        hub.seen.append((self.command, path, {name.lower(): value for name, value in self.headers.items()}))
        self.close_connection = True
        if hub.stall:
            hub.closing.wait(20)
        elif hub.status is not None:
            self._send(hub.status, b"", {}, body=body)
        elif path.startswith("/large/"):
            self._large(hub, hub.stored[path.removeprefix("/large/")], body=body)
        elif path.startswith("/api/models/"):
            self._info(hub, path.removeprefix("/api/models/").split("/"), body=body)
        else:
            self._file(hub, path.removeprefix("/").split("/"), body=body)

    def _model(self, hub: Hub, name: str, body: bool) -> HubModel | None:
        model = hub.models.get(name)
        if model is None:
            self._send(404, b"", {"X-Error-Code": "RepoNotFound"}, body=body)
        elif model.gated:
            self._send(403, b"", {"X-Error-Code": "GatedRepo"}, body=body)
        elif model.token is not None and self.headers.get("Authorization") != f"Bearer {model.token}":
            self._send(401, b"", {"X-Error-Code": "RepoNotFound"}, body=body)
        else:
            return model
        return None

    def _info(self, hub: Hub, parts: list[str], *, body: bool) -> None:
        name = "/".join(parts[:2])
        model = self._model(hub, name, body)
        if model is None:
            return
        commit = model.commit_of(parts[3] if len(parts) > 3 else "main")
        if commit is None:
            self._send(404, b"", {"X-Error-Code": "RevisionNotFound"}, body=body)
            return
        files = model.commits[commit]
        if len(parts) > 2 and parts[2] == "tree":
            answer: object = [
                {"type": "file", "path": name, "size": len(data), "oid": _blob(data), **_lfs(name, data, "oid")}
                for name, data in files.items()
            ]
        else:
            siblings = [
                {"rfilename": name, "size": len(data), "blobId": _blob(data), **_lfs(name, data, "sha256")}
                for name, data in files.items()
            ]
            answer = {"_id": "1", "id": name, "sha": commit, "siblings": siblings, "private": False, "tags": []}
        self._send(200, json.dumps(answer).encode(), {"Content-Type": "application/json"}, body=body)

    def _file(self, hub: Hub, parts: list[str], *, body: bool) -> None:
        model = self._model(hub, "/".join(parts[:2]), body)
        if model is None:
            return
        commit, name = model.commit_of(parts[3]), "/".join(parts[4:])
        if commit is None or name not in model.commits[commit]:
            code = "RevisionNotFound" if commit is None else "EntryNotFound"
            self._send(404, b"", {"X-Error-Code": code}, body=body)
            return
        data = model.commits[commit][name]
        headers = {"X-Repo-Commit": commit, "ETag": f'"{_blob(data)}"'}
        if not name.endswith(LARGE):
            self._send(200, data, headers, body=body)
            return
        digest = hashlib.sha256(data).hexdigest()
        hub.stored.setdefault(digest, data)
        headers |= {"X-Linked-Etag": f'"{digest}"', "X-Linked-Size": str(len(data))}
        # Another host by name, as the hub's own storage is.
        headers["Location"] = f"http://localhost:{hub.port}/large/{digest}"
        self._send(302, b"", headers, body=body)

    def _large(self, hub: Hub, data: bytes, *, body: bool) -> None:
        start = int(self.headers.get("Range", "bytes=0-").removeprefix("bytes=").partition("-")[0])
        rest = data[start:]
        headers = {"Content-Range": f"bytes {start}-{len(data) - 1}/{len(data)}"} if start else {}
        if hub.break_after is not None and body and not start:
            self.send_response(206 if start else 200)
            for name, value in {**headers, "Content-Length": str(len(rest))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(rest[: hub.break_after])
            return
        self._send(206 if start else 200, rest, headers, body=body)

    def _send(self, status: int, data: bytes, headers: dict[str, str], *, body: bool) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(data)), "Connection": "close"}.items():
            self.send_header(name, value)
        self.end_headers()
        if body:
            self.wfile.write(data)


def _blob(data: bytes) -> str:
    return hashlib.sha1(f"blob {len(data)}\0".encode() + data, usedforsecurity=False).hexdigest()


def _lfs(name: str, data: bytes, key: str) -> dict[str, object]:
    if not name.endswith(LARGE):
        return {}
    return {"lfs": {key: hashlib.sha256(data).hexdigest(), "size": len(data), "pointerSize": 130}}
