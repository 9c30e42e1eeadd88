"""One model, ready: `python -m loquela.inference.engine_process FOLDER`. Lines of JSON in, lines of JSON out.

    {"id": n, "verb": "generate" | "score" | "chat", "request": {…}}
                      ─▶ {"piece": "…"} …  {"result": {…}} | {"error": {…}}
    {"cancel": n}     the writing of answer n ends after its next piece

It ends when nobody holds the other end of its input any more. Standard output carries nothing but these lines.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from queue import SimpleQueue

from pydantic import JsonValue

from loquela.core.errors import ErrorCode, InternalError, LoquelaError, RecipeError
from loquela.inference.chat import Chat
from loquela.inference.chat_contracts import ChatRequest, ChatResult
from loquela.inference.contracts import GenerateRequest, GenerateResult, ScoreRequest, checked_request
from loquela.inference.engine import Outcome
from loquela.inference.open_chat import open_chat

Message = dict[str, JsonValue]
# Where the answers go: the standard output that the process was started with.
ANSWERS = 3


class EngineProcess:
    """Answers one request after the other with one model."""

    def __init__(self, chat: Chat) -> None:
        self._chat = chat
        self._waiting: SimpleQueue[Message | None] = SimpleQueue()
        self._cancelled: JsonValue = None
        self._ended = threading.Event()

    def run(self) -> None:
        """Answer until the input ends."""
        threading.Thread(target=self._listen, name="requests", daemon=True).start()
        while (message := self._waiting.get()) is not None:
            self._answer(message)

    def _listen(self) -> None:
        for line in sys.stdin:
            message: Message = json.loads(line)
            if "cancel" in message:
                self._cancelled = message["cancel"]
            else:
                self._waiting.put(message)
        # Whoever asked is gone: so is the reason to write on.
        self._ended.set()
        self._waiting.put(None)

    def _answer(self, message: Message) -> None:
        try:
            verb, values = message.get("verb"), message.get("request")
            if not isinstance(values, dict):
                raise RecipeError(ErrorCode.CONFIG_INVALID, "a request is an object", "send an object")
            for said in self._done(str(verb), values):
                say(said)
                stopped = self._ended.is_set() or self._cancelled == message.get("id")
                if stopped and "result" not in said:
                    say({"result": None})
                    return
        except LoquelaError as error:
            say({"error": told(error)})
        except Exception as error:
            bug = InternalError(ErrorCode.INTERNAL, f"{type(error).__name__}: {error}", "report this as a bug")
            say({"error": told(bug)})

    def _done(self, verb: str, values: dict[str, JsonValue]) -> Iterator[Message]:
        if verb == "score":
            yield {"result": self._chat.engine.score(checked_request(ScoreRequest, values)).model_dump(mode="json")}
        elif verb == "generate":
            yield from self._generated(checked_request(GenerateRequest, values))
        else:
            yield from self._chatted(checked_request(ChatRequest, values))

    def _generated(self, request: GenerateRequest) -> Iterator[Message]:
        if request.num_return_sequences > 1:
            whole = self._chat.engine.generate(request)
            yield {"result": whole.model_dump(mode="json"), "prompt_tokens": len(self._chat.engine.prompt(request)[0])}
            return
        prompt, notes = self._chat.engine.prompt(request)
        outcome, pieces = Outcome(), []
        for piece in self._chat.engine.write(request, prompt, request.seed, outcome):
            pieces.append(piece)
            yield {"piece": piece}
        result = GenerateResult(
            outputs=["".join(pieces)],
            steps=[outcome.steps],
            eos_terminated=[outcome.eos],
            notes=notes + self._chat.engine.notes_on([outcome]),
        )
        yield {"result": result.model_dump(mode="json"), "prompt_tokens": len(prompt)}

    def _chatted(self, request: ChatRequest) -> Iterator[Message]:
        results: list[ChatResult] = []
        for piece in self._chat.stream(request, results):
            yield {"piece": piece}
        yield {"result": results[0].model_dump(mode="json"), "prompt_tokens": results[0].prompt_tokens}


def told(error: LoquelaError) -> Message:
    """An error as a message."""
    return {
        "kind": type(error).__name__,
        "code": error.code,
        "message": error.message,
        "remedy": error.remedy,
        "retryable": error.retryable,
    }


def say(message: Message) -> None:
    """One line to whoever asked."""
    os.write(ANSWERS, (json.dumps(message) + "\n").encode("utf-8"))


def main(folder: Path) -> int:
    """Open the model and answer; 1 when it cannot be opened, which was said."""
    # What a library prints must not come between the answers.
    os.dup2(1, ANSWERS)
    os.dup2(2, 1)
    try:
        chat = open_chat(folder)
    except LoquelaError as error:
        say({"error": told(error)})
        return 1
    say({"ready": True, "context": min(chat.engine.runtime.context, 2**31)})
    with chat:
        EngineProcess(chat).run()
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
