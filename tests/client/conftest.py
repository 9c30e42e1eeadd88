"""A server whose every answer the test writes itself."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest


class Scripted:
    """Answers requests in order with (status, headers, body); keeps what was asked."""

    def __init__(self):
        self.answers = []
        self.asked = []
        scripted = self

        class Handler(BaseHTTPRequestHandler):
            def answer(self):
                size = int(self.headers.get("content-length") or 0)
                scripted.asked.append((self.command, self.path, dict(self.headers), self.rfile.read(size)))
                status, headers, body = scripted.answers.pop(0)
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("connection", "close")
                self.end_headers()
                self.wfile.write(body)

            do_GET = do_POST = answer

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self.thread.start()

    def will_say(self, status, body=b"", **headers):
        self.answers.append((status, headers, body if isinstance(body, bytes) else body.encode()))

    def close(self):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


@pytest.fixture
def scripted():
    made = Scripted()
    yield made
    made.close()
