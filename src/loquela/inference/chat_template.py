"""The chat template of a model folder: rendered outside this process, and turned into tokens.

    messages ─ template (a process of its own) ─▶ text with control texts ─ tokens; control texts are one token each

A template is a stranger's program and messages are strangers' texts: the first is rendered in a sandbox with limits,
the second are never taken for control tokens.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from pydantic import JsonValue

from loquela.inference.chat_contracts import ChatMessage
from loquela.inference.template_tokens import TemplateTokens
from loquela.security.jinja_process import marked_parts
from loquela.security.template_process import TemplateProcess
from loquela.tokenizers.contract import ABSENT

# Stands for an answer when a template is asked what it writes behind one.
ANSWER = "loquela-stands-here-for-an-answer"


class TemplateFormat:
    """A Jinja chat template as transformers has them. Close it: it holds a process."""

    def __init__(self, source: str, origin: str, tokens: TemplateTokens, note: str = "") -> None:
        """Raises RecipeError(CONFIG_INVALID) for a template that cannot be used."""
        self.note = note
        self._tokens = tokens
        self._names: dict[str, JsonValue] = {**tokens.names}
        self._process = TemplateProcess(source, origin, lenient=tokens.whole)
        try:
            self.ends, self.stops = self._ending()
        except BaseException:
            self._process.close()
            raise

    def prompt(self, messages: Sequence[ChatMessage]) -> tuple[list[int], list[str]]:
        """The rendered conversation with the assistant's turn begun."""
        broken = [self._tokens.control_pattern.sub(_broken_up, message.content) for message in messages]
        turns: list[JsonValue] = [
            {"role": message.role, "content": text} for message, text in zip(messages, broken, strict=True)
        ]
        changed = sum(message.content != text for message, text in zip(messages, broken, strict=True))
        notes = [f"control tokens spelt out in {changed} of the messages were broken up by a blank"] if changed else []
        return self._tokens.encode(self._render(turns, opened=True)), notes

    def close(self) -> None:
        """End the template's process."""
        self._process.close()

    def _render(self, turns: list[JsonValue], *, opened: bool) -> str:
        text = self._process.render(turns, opened=opened, names=self._names)
        return "".join(part for part, _ in marked_parts(text))

    def _ending(self) -> tuple[frozenset[int], list[str]]:
        """What the template writes behind an answer: a control token where it begins with one, else its text."""
        turns: list[JsonValue] = [{"role": "user", "content": "x"}, {"role": "assistant", "content": ANSWER}]
        behind = self._render(turns, opened=False).rpartition(ANSWER)[2].strip()
        control = self._tokens.control_pattern.match(behind)
        if control is not None:
            token = self._tokens.id_of(control.group())
            return (frozenset([token]), []) if token != ABSENT else (frozenset(), [control.group()])
        return frozenset(), [behind.splitlines()[0]] if behind else []


def _broken_up(match: re.Match[str]) -> str:
    return f"{match.group()[0]} {match.group()[1:]}"
