"""A server on this machine that speaks Anthropic's and OpenAI's protocols, counts, and misbehaves on purpose."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

Fault = Callable[["Handler"], None]
Answer = Callable[[str, dict], str]


FACTS = re.compile(
    r"The (?P<thing>[\w ]+) of (?P<name>[\w ]+) was opened in (?P<year>\d+) by the engineer (?P<person>[\w ]+)\. "
    r"Its walls are of (?P<stone>\w+) .*lived from (?P<stuff>[\w ]+), which",
    re.DOTALL,
)
QUESTIONS = (
    ("Who opened the {thing} of {name} in {year}?", "{person}"),
    ("Of which stone are the walls of the {thing} of {name}?", "{stone}"),
    ("What did the workers of the {thing} of {name} live from?", "{stuff}"),
    ("How soon was the northern wing of the {thing} of {name} rebuilt?", "within eleven months"),
    ("For whom is there a small library in the {thing} of {name}?", "for the schools of the valley"),
)


def pairs_from(passage: str, count: int) -> list[dict]:
    """Right pairs about one of the sample passages, a sentence each, as a good model would give them."""
    facts = FACTS.search(passage).groupdict()
    sentences = re.split(r"(?<=\.)\s+", passage.strip())
    return [
        {
            "question": question.format(**facts),
            "answer": answer.format(**facts),
            "evidence": sentence,
            "type": "fact",
            "difficulty": "basic",
        }
        for (question, answer), sentence in list(zip(QUESTIONS, sentences, strict=True))[:count]
    ]


def good_answer(system: str, body: dict) -> str:
    """What is wanted: pairs for the passage, or a verdict for every pair."""
    text = body["messages"][0]["content"] if "system" in body else body["messages"][1]["content"]
    passage = text.split("<passage>\n")[1].split("\n</passage>")[0]
    if "<pairs>" in text:
        count = len(re.findall(r"^\d+\. Q:", text, re.MULTILINE))
        verdicts = [
            {"pair": number, "supported": True, "known_without": False, "usefulness": 4}
            for number in range(1, count + 1)
        ]
        return json.dumps({"verdicts": verdicts})
    wanted = re.search(r"(?:Write|Escribe) (\d+) (?:pairs|pares)", text)
    return json.dumps({"pairs": pairs_from(passage, int(wanted.group(1)))}, ensure_ascii=False)


class LlmServer:
    """`faults` are used up first, one a request; `answer` makes the text of all others. Everything seen is kept."""

    def __init__(self) -> None:
        self.faults: list[Fault] = []
        self.answer: Answer = good_answer
        self.delay_seconds = 0.0
        self.output_tokens = 200
        self.seen: list[tuple[str, dict, dict]] = []
        self.answered = 0
        self.at_once = 0
        self.most_at_once = 0
        self.batches: dict[str, list[dict]] = {}
        self.polls_before_end = 1
        self.batch_outcome: Callable[[dict], dict] | None = None
        self.closing = threading.Event()
        self.lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        # What breaks down on purpose needs no traceback in the test's output.
        self._server.handle_error = lambda request, address: None
        self._server.owner = self
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    @property
    def prompts(self) -> list[str]:
        """The bodies of all requests for an answer, as text."""
        return [json.dumps(body, sort_keys=True) for path, body, _ in self.seen if path in PATHS]

    def close(self) -> None:
        self.closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


PATHS = ("/v1/messages", "/chat/completions")


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    @property
    def owner(self) -> LlmServer:
        return self.server.owner

    def log_message(self, format: str, *args: object) -> None:
        pass

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        owner = self.owner
        with owner.lock:
            owner.seen.append((self.path, body, {name.lower(): value for name, value in self.headers.items()}))
            owner.at_once += 1
            owner.most_at_once = max(owner.most_at_once, owner.at_once)
            fault = owner.faults.pop(0) if owner.faults else None
        try:
            time.sleep(owner.delay_seconds)
            if fault is not None:
                fault(self)
            elif self.path == "/v1/messages/batches":
                self.make_batch(body)
            else:
                self.send_json(self.message(body) if self.path == "/v1/messages" else self.completion(body))
                with owner.lock:
                    owner.answered += 1
        finally:
            with owner.lock:
                owner.at_once -= 1

    def do_GET(self) -> None:
        owner = self.owner
        owner.seen.append((self.path, {}, {}))
        with owner.lock:
            fault = owner.faults.pop(0) if owner.faults else None
        if fault is not None:
            fault(self)
            return
        name = self.path.split("/")[4]
        if self.path.endswith("/results"):
            lines = [json.dumps(self.batch_line(entry)) for entry in owner.batches[name]]
            self.send_text("\n".join(lines) + "\n", "application/x-jsonl")
            return
        owner.polls_before_end -= 1
        self.send_json(self.batch_state(name, ended=owner.polls_before_end < 0))

    def make_batch(self, body: dict) -> None:
        name = f"msgbatch_{len(self.owner.batches)}"
        self.owner.batches[name] = body["requests"]
        self.send_json(self.batch_state(name, ended=False))

    def batch_state(self, name: str, *, ended: bool) -> dict:
        count = len(self.owner.batches[name])
        counts = dict.fromkeys(("processing", "succeeded", "errored", "canceled", "expired"), 0)
        counts["succeeded" if ended else "processing"] = count
        return {
            "id": name,
            "type": "message_batch",
            "processing_status": "ended" if ended else "in_progress",
            "request_counts": counts,
            "created_at": "2026-11-22T00:00:00Z",
            "expires_at": "2026-11-23T00:00:00Z",
            "ended_at": "2026-11-22T00:01:00Z" if ended else None,
            "archived_at": None,
            "cancel_initiated_at": None,
            "results_url": f"{self.owner.url}/v1/messages/batches/{name}/results" if ended else None,
        }

    def batch_line(self, entry: dict) -> dict:
        owner = self.owner
        if owner.batch_outcome is not None:
            return {"custom_id": entry["custom_id"], "result": owner.batch_outcome(entry)}
        owner.answered += 1
        return {
            "custom_id": entry["custom_id"],
            "result": {"type": "succeeded", "message": self.message(entry["params"])},
        }

    def message(self, body: dict) -> dict:
        text = self.owner.answer(body["system"][0]["text"], body)
        return {
            "id": "msg_1",
            "type": "message",
            "role": "assistant",
            "model": body["model"],
            "content": [{"type": "text", "text": text}],
            "stop_reason": "refusal" if text == "REFUSED" else "max_tokens" if text.endswith("CUT") else "end_turn",
            "stop_sequence": None,
            "usage": {
                "input_tokens": 500,
                "output_tokens": self.owner.output_tokens,
                "cache_creation_input_tokens": 40,
                "cache_read_input_tokens": 60,
            },
        }

    def completion(self, body: dict) -> dict:
        text = self.owner.answer(body["messages"][0]["content"], body)
        refused = text == "REFUSED"
        return {
            "id": "chatcmpl-1",
            "object": "chat.completion",
            "created": 1,
            "model": body["model"],
            "choices": [
                {
                    "index": 0,
                    "finish_reason": "stop",
                    "message": {
                        "role": "assistant",
                        "content": None if refused else text,
                        "refusal": "I cannot help with that." if refused else None,
                    },
                }
            ],
            "usage": {"prompt_tokens": 600, "completion_tokens": 200, "total_tokens": 800},
        }

    def send_json(self, value: dict, status: int = 200, **headers: str) -> None:
        self.send_text(json.dumps(value), "application/json", status, **headers)

    def send_text(self, text: str, kind: str, status: int = 200, **headers: str) -> None:
        data = text.encode("utf-8")
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        try:
            self.wfile.write(data)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True


def status(code: int, message: str = "as the test wants it", **headers: str) -> Fault:
    kinds = {
        400: "invalid_request_error",
        401: "authentication_error",
        429: "rate_limit_error",
        529: "overloaded_error",
    }
    kind = kinds.get(code, "api_error")
    body = {"type": "error", "error": {"type": kind, "message": message}}
    return lambda handler: handler.send_json(body, code, **headers)


def stall(handler: Handler) -> None:
    """Take the request and say nothing."""
    handler.owner.closing.wait(3)
    handler.close_connection = True


def cut(handler: Handler) -> None:
    """Promise a whole answer and hang up in the middle of it."""
    handler.send_response(200)
    handler.send_header("Content-Type", "application/json")
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    handler.wfile.write(b'{"id": "msg_1", "content": [{"ty')
    handler.close_connection = True


def no_json(handler: Handler) -> None:
    """Say "all right" and send a web page."""
    handler.send_text("<html>maintenance</html>", "text/html")


def half_json(handler: Handler) -> None:
    """Claim JSON and send half of it."""
    handler.send_text('{"id": "msg_1", "cont', "application/json")
