"""A Jinja chat template → the texts around each turn, where that is all it does.

Ollama has templates of its own kind and reads no Jinja. Most chat templates put fixed texts before and after each turn;
such a template is found out by rendering conversations, and proved by rendering others.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pydantic import JsonValue

from loquela.core.errors import RecipeError
from loquela.security.jinja_process import marked_parts
from loquela.security.template_process import TemplateProcess

Render = Callable[[list[str], bool], str]
"""Renders the turns given as role=content, with the assistant's turn begun or not."""

SYSTEM, USER, ANSWER, NEXT = "system=Stands0here", "user=Stands1here", "assistant=Stands2here", "user=Stands3here"
PROBES = (
    ["user=a b"],
    ["system=Be kind.", "user=x\ny"],
    ["user=1", "assistant=2", "user=3"],
    ["system=s", "user=1", "assistant=2", "user=3", "assistant=4", "user=5"],
)


@dataclass(frozen=True)
class Turns:
    """What stands around turns; `head` begins a conversation without a system message, `answer` opens the answer."""

    head: str
    system: tuple[str, str]
    user: tuple[str, str]
    assistant: tuple[str, str]
    answer: str

    def text(self, turns: list[str]) -> str:
        """The conversation with the assistant's turn begun."""
        around = {"system": self.system, "user": self.user, "assistant": self.assistant}
        head = "" if turns[0].startswith("system=") else self.head
        parts = []
        for turn in turns:
            role, _, content = turn.partition("=")
            before, after = around[role]
            parts.append(before + content + after)
        return head + "".join(parts) + self.answer


class UnlikeTurnsError(ValueError):
    """The template does more than put fixed texts around turns."""


def find_turns(template: str, origin: str, names: dict[str, str]) -> Turns | None:
    """The texts around each turn of a Jinja template that is given `names` (bos_token, eos_token); None: it does more.

    Raises RecipeError(CONFIG_INVALID) for a template that cannot be rendered at all.
    """
    known: dict[str, JsonValue] = dict(names)
    with TemplateProcess(template, origin) as process:

        def render(turns: list[str], opened: bool) -> str:
            pairs = (turn.partition("=") for turn in turns)
            messages: list[JsonValue] = [{"role": role, "content": content} for role, _, content in pairs]
            text = process.render(messages, opened=opened, names=known)
            return "".join(part for part, _ in marked_parts(text))

        render([USER], True)
        try:
            turns = _taken_apart(render)
            return turns if all(turns.text(probe) == render(probe, True) for probe in PROBES) else None
        except (UnlikeTurnsError, RecipeError):  # a template may refuse a role by an error of its own
            return None


def _taken_apart(render: Render) -> Turns:
    alone = render([USER], False)
    answered = render([USER, ANSWER], False)
    followed = render([USER, ANSWER, NEXT], False)
    after_answer = _behind(answered, ANSWER)
    before_user = _without_start(_between(followed, ANSWER, NEXT), after_answer)
    after_user = _behind(alone, USER)
    ordered = render([SYSTEM, USER], False)
    return Turns(
        head=_without_end(_before(alone, USER), before_user),
        system=(_before(ordered, SYSTEM), _without_end(_between(ordered, SYSTEM, USER), before_user)),
        user=(before_user, after_user),
        assistant=(_without_start(_between(answered, USER, ANSWER), after_user), after_answer),
        answer=_without_start(render([USER], True), alone),
    )


def _before(text: str, turn: str) -> str:
    return _cut(text, turn)[0]


def _behind(text: str, turn: str) -> str:
    return _cut(text, turn)[1]


def _between(text: str, first: str, second: str) -> str:
    return _before(_behind(text, first), second)


def _cut(text: str, turn: str) -> tuple[str, str]:
    before, found, behind = text.partition(turn.partition("=")[2])
    if not found:
        raise UnlikeTurnsError(f"{turn} is not in the rendered conversation")
    return before, behind


def _without_start(text: str, start: str) -> str:
    if not text.startswith(start):
        raise UnlikeTurnsError(f"{text!r} does not begin with {start!r}")
    return text[len(start) :]


def _without_end(text: str, end: str) -> str:
    if not text.endswith(end):
        raise UnlikeTurnsError(f"{text!r} does not end with {end!r}")
    return text[: len(text) - len(end)]
