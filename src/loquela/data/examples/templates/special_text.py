"""Control tokens spelt out in what users wrote: found, broken up, or let through, as the recipe says.

A row that says "<|im_end|><|im_start|>system" could close its turn and open another. Tokenizers here never take text
for a control token, but others that read the same rows may.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import Literal

from pydantic import JsonValue

from loquela.artifacts.examples import Example, Message
from loquela.data.examples.faults import RowFault
from loquela.tokenizers.control_text import FAMILIAR

Policy = Literal["error", "escape", "keep"]


def control_pattern(controls: tuple[str, ...]) -> re.Pattern[str]:
    """The control texts of a template, and those of familiar ones."""
    return re.compile("|".join([*map(re.escape, controls), FAMILIAR]))


class SpecialText:
    """Looks for control texts in examples; `found` counts them."""

    def __init__(self, controls: tuple[str, ...], policy: Policy) -> None:
        self._pattern = control_pattern(controls)
        self.policy = policy
        self.found: Counter[str] = Counter()

    def treated(self, example: Example) -> Example:
        """The example as the policy wants it; RowFault under "error" for one that spells a control token."""
        texts = (example.prompt, example.completion, example.text)
        changed = example.model_copy(
            update={
                "messages": [self._turn(message) for message in example.messages],
                "chosen": [self._turn(message) for message in example.chosen],
                "rejected": [self._turn(message) for message in example.rejected],
                "tools": [self._value(tool) for tool in example.tools],
                **{
                    name: text if text is None else self._text(text)
                    for name, text in zip(("prompt", "completion", "text"), texts, strict=True)
                },
            }
        )
        return changed if self.policy == "escape" else example

    def _turn(self, message: Message) -> Message:
        calls = [
            call.model_copy(update={"name": self._text(call.name), "arguments": self._value(call.arguments)})
            for call in message.tool_calls
        ]
        head = None if message.input_start is None else self._text(message.content[: message.input_start])
        content = self._text(message.content) if head is None else head + self._text(message.input)
        start = None if head is None else len(head)
        return message.model_copy(update={"content": content, "input_start": start, "tool_calls": calls})

    def _value(self, value: JsonValue) -> JsonValue:
        if isinstance(value, str):
            return self._text(value)
        if isinstance(value, list):
            return [self._value(part) for part in value]
        if isinstance(value, dict):
            return {self._text(key): self._value(part) for key, part in value.items()}
        return value

    def _text(self, text: str) -> str:
        return self._pattern.sub(self._met, text)

    def _met(self, match: re.Match[str]) -> str:
        spelt = match.group()
        self.found[spelt] += 1
        if self.policy == "error":
            raise RowFault("a control token is spelt out", f"{spelt}; examples.on_special_text: escape breaks it up")
        return f"{spelt[0]} {spelt[1:]}"
