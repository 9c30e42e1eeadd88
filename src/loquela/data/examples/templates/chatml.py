"""ChatML: every turn between <|im_start|> and <|im_end|>; tools as Qwen and Hermes models write them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

from pydantic import JsonValue

from loquela.artifacts.examples import Message, ToolCall
from loquela.data.examples.templates.contract import loss_weight
from loquela.data.examples.templates.rendered import Piece, Rendered, rendered

START, END = "<|im_start|>", "<|im_end|>"
TOOLS_HEAD = "# Tools\n\nYou may call these functions. Each is described by a JSON object:\n<tools>\n"
TOOLS_TAIL = (
    "\n</tools>\n\nTo call one, write its name and arguments as a JSON object:\n"
    '<tool_call>\n{"name": <name>, "arguments": <arguments>}\n</tool_call>'
)
# The same as Jinja, for programs that serve the model; a test holds the two against each other.
JINJA = (
    "{%- set ns = namespace(messages=messages) -%}"
    "{%- set head = messages[0].content if messages and messages[0].role == 'system' else '' -%}"
    "{%- if head -%}{%- set ns.messages = messages[1:] -%}{%- endif -%}"
    "{%- if head or tools -%}"
    "{{- '<|im_start|>system\\n' + head -}}"
    "{%- if tools -%}"
    "{{- ('\\n\\n' if head else '') + " + json.dumps(TOOLS_HEAD) + " -}}"
    "{%- for tool in tools -%}{{- tool | tojson + ('' if loop.last else '\\n') -}}{%- endfor -%}"
    "{{- " + json.dumps(TOOLS_TAIL) + " -}}"
    "{%- endif -%}"
    "{{- '<|im_end|>\\n' -}}"
    "{%- endif -%}"
    "{%- for message in ns.messages -%}"
    "{{- '<|im_start|>' + message.role + '\\n' -}}"
    "{%- if message.role == 'assistant' -%}"
    "{%- generation -%}"
    "{{- message.content -}}"
    "{%- for call in message.tool_calls or [] -%}"
    "{{- ('\\n' if message.content or not loop.first else '') + '<tool_call>\\n' -}}"
    "{{- {'name': call.function.name, 'arguments': call.function.arguments} | tojson + '\\n</tool_call>' -}}"
    "{%- endfor -%}"
    "{{- '<|im_end|>' -}}"
    "{%- endgeneration -%}"
    "{{- '\\n' -}}"
    "{%- elif message.role == 'tool' -%}"
    "{{- '<tool_response>\\n' + message.content + '\\n</tool_response><|im_end|>\\n' -}}"
    "{%- else -%}"
    "{{- message.content + '<|im_end|>\\n' -}}"
    "{%- endif -%}"
    "{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{- '<|im_start|>assistant\\n' -}}{%- endif -%}"
)


class ChatML:
    """The built-in ChatML template."""

    name = "chatml"
    source = JINJA
    controls = (START, END)

    def render(self, messages: Sequence[Message], tools: Sequence[JsonValue], rest: float = 0.0) -> Rendered:
        """Every turn in its frame; the assistant's text and its <|im_end|> are learnt."""
        return rendered(_pieces(messages, tools, rest))


def _pieces(messages: Sequence[Message], tools: Sequence[JsonValue], rest: float) -> Iterator[Piece]:
    turns = list(messages)
    if tools:
        head = turns.pop(0).content if turns and turns[0].role == "system" else ""
        yield from _turn(Message(role="system", content=(head and head + "\n\n") + tools_text(tools)), rest)
    for message in turns:
        yield from _turn(message, rest)


def _turn(message: Message, rest: float) -> Iterator[Piece]:
    weight = loss_weight(message, rest)
    yield Piece(START, rest, "control")
    yield Piece(f"{message.role}\n", rest)
    yield Piece(_shown(message), weight)
    yield Piece(END, weight, "control", stops=message.role == "assistant")
    yield Piece("\n", rest)


def _shown(message: Message) -> str:
    if message.role == "tool":
        return f"<tool_response>\n{message.content}\n</tool_response>"
    return "\n".join([*([message.content] if message.content else []), *map(call_text, message.tool_calls)])


def tools_text(tools: Sequence[JsonValue]) -> str:
    """The part of the system prompt that describes the tools."""
    return TOOLS_HEAD + "\n".join(_json(tool) for tool in tools) + TOOLS_TAIL


def call_text(call: ToolCall) -> str:
    """A tool call as the assistant writes it."""
    return f"<tool_call>\n{_json({'name': call.name, 'arguments': call.arguments})}\n</tool_call>"


def _json(value: JsonValue) -> str:
    return json.dumps(value, ensure_ascii=False)
