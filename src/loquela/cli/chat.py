"""`loquela chat`: a conversation with a model, in the terminal or line by line from a pipe."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from loquela.cli.models import Talker, talker_of
from loquela.cli.options import json_option, model_argument, output_directory_option
from loquela.cli.output import print_text, tell_notes

if TYPE_CHECKING:
    from pydantic import JsonValue

    from loquela.inference.chat_contracts import ChatResult

COMMANDS = "/reset forgets the conversation, /exit ends it, Ctrl+C stops an answer"


@click.command(
    "chat", epilog="\b\nExample:\n  loquela chat latest\n  echo 'Hola' | loquela chat latest --temperature 0 --json"
)
@model_argument
@click.option("--system", help="What the model is told before the conversation.")
@click.option("--max-new-tokens", type=int, default=256, show_default=True, help="Of each answer; 1 to 512.")
@click.option("--temperature", type=float, default=0.8, show_default=True, help="0 is greedy.")
@click.option("--top-k", type=int, help="Sample from the k likeliest tokens only.")
@click.option("--top-p", type=float, help="Sample from the likeliest tokens that reach this probability mass.")
@click.option("--seed", type=int, default=1337, show_default=True, help="Answer i is drawn with seed + i.")
@output_directory_option
@json_option
def command(
    model: str,
    system: str | None,
    max_new_tokens: int,
    temperature: float,
    top_k: int | None,
    top_p: float | None,
    seed: int,
    output_directory: Path,
    as_json: bool,
) -> None:
    """Talk with a trained model.

    MODEL is a run (id, prefix of an id, path, or latest), a model folder or an exported bundle. The chat template that
    came with the model is used; without one, turns are written as plain lines, and that is said. /reset forgets the
    conversation, /exit ends it, Ctrl+C stops an answer. From a pipe, every line is a message; with --json every answer
    is one JSON object on a line.
    """
    from loquela.inference.chat_contracts import ChatRequest
    from loquela.inference.contracts import checked_request

    settings: dict[str, JsonValue] = {
        "max_new_tokens": max_new_tokens,
        "temperature": temperature,
        "top_k": top_k,
        "top_p": top_p,
        "seed": seed,
    }
    # The settings are checked before seconds are spent on loading the model.
    checked_request(ChatRequest, {**settings, "messages": [{"role": "user", "content": ""}]})
    notes: list[str] = []
    with talker_of(model, output_directory, notes) as chat:
        tell_notes(notes)
        conversation = Conversation(chat, settings, system, as_json=as_json)
        if sys.stdin.isatty() and not as_json:
            print_text(COMMANDS, err=True)
            _talk(conversation)
        else:
            for line in _lines():
                conversation.say(line)


class Conversation:
    """The history of one chat, and how its answers are shown."""

    def __init__(self, chat: Talker, settings: dict[str, JsonValue], system: str | None, *, as_json: bool) -> None:
        self._chat = chat
        self._settings = settings
        self._head: list[JsonValue] = [] if system is None else [{"role": "system", "content": system}]
        self._turns: list[JsonValue] = []
        self._as_json = as_json
        self._answers = 0

    def say(self, message: str) -> None:
        """Send a message, or carry out a command, and show the answer; a message that fails is not kept."""
        if message == "/reset":
            self._turns.clear()
            print_text("the conversation is forgotten", err=True)
        elif message.startswith("/"):
            print_text(f"no such command: {message.split()[0]}; {COMMANDS}", err=True)
        elif message:
            asked: JsonValue = {"role": "user", "content": message}
            answer = self._answered([*self._head, *self._turns, asked])
            self._turns += [asked, {"role": "assistant", "content": answer}]

    def _answered(self, messages: list[JsonValue]) -> str:
        """The answer, shown as it is written; what Ctrl+C leaves of it when it is stopped."""
        from loquela.inference.chat_contracts import ChatRequest
        from loquela.inference.contracts import checked_request

        seed = self._settings["seed"]
        drawn = {**self._settings, "messages": messages, "seed": _next(seed, self._answers)}
        self._answers += 1
        request = checked_request(ChatRequest, drawn)
        results: list[ChatResult] = []
        pieces: list[str] = []
        try:
            for piece in self._chat.stream(request, results):
                pieces.append(piece)
                if not self._as_json:
                    print_text(piece, nl=False)
        except KeyboardInterrupt:
            print_text()
            tell_notes(["the answer was stopped"])
            return "".join(pieces)
        if self._as_json:
            print_text(json.dumps(results[0].model_dump(mode="json"), ensure_ascii=False))
        else:
            print_text()
            tell_notes(results[0].notes)
        return results[0].text


def _next(seed: JsonValue, count: int) -> JsonValue:
    return (seed + count) % 2**31 if isinstance(seed, int) else seed


def _talk(conversation: Conversation) -> None:
    """Ask for messages until there are no more; what is wrong with one of them does not end the conversation."""
    from loquela.core.errors import DataError

    while True:
        try:
            message = click.prompt("you", prompt_suffix="> ", type=str).strip()
        except click.Abort:
            print_text()
            return
        if message == "/exit":
            return
        try:
            conversation.say(message)
        except DataError as error:
            print_text(f"{error.message}\n  {error.remedy}", err=True)


def _lines() -> Iterator[str]:
    """The messages of a pipe, up to /exit; DataError(ENCODING_ERROR) for a line that is not UTF-8."""
    from loquela.core.errors import DataError, ErrorCode

    for number, line in enumerate(sys.stdin.buffer, 1):
        try:
            message = line.decode("utf-8").strip()
        except UnicodeError as error:
            raise DataError(
                ErrorCode.ENCODING_ERROR, f"line {number} is not valid UTF-8: {error}", "convert it to UTF-8"
            ) from error
        if message == "/exit":
            return
        yield message
