"""A row of a recognised format → the examples it holds."""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import dataclass, field

from pydantic import JsonValue

from loquela.artifacts.examples import Example, ExampleLineage, Message, with_id
from loquela.data.examples.checks import check_example
from loquela.data.examples.faults import RowFault
from loquela.data.examples.formats.contents import RowReader, dumped
from loquela.data.examples.formats.recognise import Recognised
from loquela.data.examples.formats.turns import TurnReader, from_json_text, kind_of
from loquela.data.examples.rows import Row
from loquela.recipe.examples_section import ExamplesSection

PLACEHOLDER = re.compile(r"\{\{\s*([A-Za-z_][A-Za-z0-9_]*)\s*\}\}")


@dataclass
class Converter:
    """Makes the examples of one file's rows; `placeholders` counts what {{name}} was left, `filled` what was put in.

    `ignored` counts keys of turns that nothing was done with.
    """

    recognised: Recognised
    section: ExamplesSection
    placeholders: Counter[str] = field(default_factory=Counter)
    filled: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        columns, roles = self.section.columns, self.section.roles
        names = {"system": roles.system, "user": roles.user, "assistant": roles.assistant, "tool": roles.tool}
        spoken = {name: role for role, known in names.items() for name in known}
        self._turns = TurnReader(columns.role, columns.content, spoken)

    @property
    def ignored(self) -> Counter[str]:
        """Keys of turns that nothing was done with, by how often they stood there."""
        return self._turns.ignored

    def convert(self, row: Row) -> list[Example]:
        """The checked examples of `row`: one, or one for each instance; RowFault for what cannot be learnt from."""
        if row.fault is not None:
            raise row.fault
        if not isinstance(row.fields, dict):
            raise RowFault("a row is not an object", kind_of(row.fields))
        _check_unicode(row.fields)
        contents = self._contents(row.fields)
        examples = [self._example(row, row.fields, content) for content in contents]
        for example in examples:
            check_example(example)
        return examples

    def _contents(self, fields: dict[str, JsonValue]) -> list[dict[str, JsonValue]]:
        read = RowReader(fields, self.recognised.columns, self._turns)
        match self.recognised.format:
            case "alpaca":
                return read.alpaca()
            case "messages" | "sharegpt":
                return [{"kind": "messages", "messages": dumped(read.conversation())}]
            case "prompt_completion":
                return [read.prompt_completion()]
            case "text":
                return [{"kind": "text", "text": read.text("text")}]
            case "preference":
                return [read.preference()]
            case "feedback":
                return [read.feedback()]

    def _example(self, row: Row, fields: dict[str, JsonValue], content: dict[str, JsonValue]) -> Example:
        place = row.place
        made = Example.model_validate(
            {
                **content,
                "id": "",
                "tools": self._tools(fields),
                "language": self.section.language,
                "labels": {name: _label(fields[name]) for name in self.section.label_columns if name in fields},
                "lineage": ExampleLineage(source=place.source, row=place.row, line=place.line, sha256=row.sha256),
            }
        )
        return with_id(self._with_system(self._filled(made)))

    def _tools(self, fields: dict[str, JsonValue]) -> list[JsonValue]:
        column = self.recognised.columns.get("tools")
        value = from_json_text(fields.get(column), "tools") if column else None
        if value is None:
            return []
        return value if isinstance(value, list) else [value]

    def _with_system(self, example: Example) -> Example:
        """The recipe's system prompt in front of a conversation that has none."""
        prompt = self.section.system_prompt
        if prompt is None or not example.messages or example.messages[0].role == "system":
            return example
        first = Message(role="system", content=prompt)
        return example.model_copy(update={"messages": [first, *example.messages]})

    def _filled(self, example: Example) -> Example:
        """`{{name}}` replaced by what the recipe gives for it; what it does not give stays, counted."""
        changes: dict[str, object] = {}
        for name in ("messages", "chosen", "rejected"):
            messages = {"messages": example.messages, "chosen": example.chosen, "rejected": example.rejected}[name]
            changes[name] = [message.model_copy(update=self._filled_turn(message)) for message in messages]
        for name, text in (("prompt", example.prompt), ("completion", example.completion), ("text", example.text)):
            changes[name] = None if text is None else self._fill(text)
        return example.model_copy(update=changes)

    def _filled_turn(self, message: Message) -> dict[str, object]:
        if message.input_start is None:
            return {"content": self._fill(message.content)}
        head = self._fill(message.content[: message.input_start])
        return {"content": head + self._fill(message.input), "input_start": len(head)}

    def _fill(self, text: str) -> str:
        def put(found: re.Match[str]) -> str:
            name = found.group(1)
            known = self.section.fills.get(name)
            (self.placeholders if known is None else self.filled)[name] += 1
            return found.group() if known is None else known

        return PLACEHOLDER.sub(put, text) if "{{" in text else text


def _check_unicode(fields: JsonValue) -> None:
    """JSON can spell half characters (lone surrogates), which are no text."""
    try:
        json.dumps(fields, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError as error:
        raise RowFault("text that is not Unicode", "it holds half a character (a lone surrogate)") from error


def _label(value: JsonValue) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return str(value)
    raise RowFault("a label column is neither text nor number", kind_of(value))
