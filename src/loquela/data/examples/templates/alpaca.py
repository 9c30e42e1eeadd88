"""Alpaca: an instruction, perhaps an input, and a response under headings; earlier rounds stand before it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pydantic import JsonValue

from loquela.artifacts.examples import Message
from loquela.data.examples.faults import RowFault
from loquela.data.examples.templates.contract import loss_weight
from loquela.data.examples.templates.rendered import Piece, Rendered, rendered

INSTRUCTION, INPUT, RESPONSE = "### Instruction:", "### Input:", "### Response:"
WITH_INPUT = (
    "Below is an instruction that describes a task, paired with an input that provides further context. "
    "Write a response that appropriately completes the request."
)
WITHOUT_INPUT = (
    "Below is an instruction that describes a task. Write a response that appropriately completes the request."
)
# For programs that serve the model: they know of messages only, so that an input stands in the instruction there.
JINJA = (
    "{%- set ns = namespace(messages=messages, head='" + WITHOUT_INPUT + "') -%}"
    "{%- if messages and messages[0].role == 'system' -%}"
    "{%- set ns.head = messages[0].content -%}{%- set ns.messages = messages[1:] -%}"
    "{%- endif -%}"
    "{{- ns.head -}}"
    "{%- for message in ns.messages -%}"
    "{%- if message.role == 'user' -%}"
    "{{- '\\n\\n### Instruction:\\n' + message.content -}}"
    "{%- if loop.last and add_generation_prompt -%}{{- '\\n\\n### Response:\\n' -}}{%- endif -%}"
    "{%- else -%}"
    "{{- '\\n\\n### Response:\\n' -}}{%- generation -%}{{- message.content -}}"
    "{%- if eos_token is defined -%}{{- eos_token -}}{%- endif -%}{%- endgeneration -%}"
    "{%- endif -%}"
    "{%- endfor -%}"
)


class Alpaca:
    """The built-in Alpaca template."""

    name = "alpaca"
    source = JINJA
    controls = (INSTRUCTION, INPUT, RESPONSE)

    def render(self, messages: Sequence[Message], tools: Sequence[JsonValue], rest: float = 0.0) -> Rendered:
        """Headings and texts; every response that is learnt is learnt with the end of text behind it.

        RowFault for tools, which this template has no place for.
        """
        if tools or any(message.tool_calls or message.role == "tool" for message in messages):
            raise RowFault("the template alpaca has no place for tools")
        return rendered(_pieces(messages, rest))


def _pieces(messages: Sequence[Message], rest: float) -> Iterator[Piece]:
    turns = list(messages)
    has_input = any(message.input for message in turns)
    preamble = WITH_INPUT if has_input else WITHOUT_INPUT
    if turns and turns[0].role == "system":
        preamble = turns.pop(0).content
    yield Piece(preamble, rest)
    for message in turns:
        if message.role == "user":
            weight = loss_weight(message, rest)
            yield Piece(f"\n\n{INSTRUCTION}\n", rest)
            yield Piece(message.instruction, weight)
            if message.input:
                yield Piece(f"\n\n{INPUT}\n", rest)
                yield Piece(message.input, weight)
        else:
            weight = loss_weight(message, rest)
            yield Piece(f"\n\n{RESPONSE}\n", rest)
            yield Piece(message.content, weight)
            yield Piece("", weight, "end")
