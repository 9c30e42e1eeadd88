"""A list of turns, in any of the spellings people use, → messages."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from pydantic import JsonValue, TypeAdapter, ValidationError

from loquela.artifacts.examples import Message, Role, ToolCall
from loquela.data.examples.faults import RowFault
from loquela.data.examples.formats.columns import (
    CALL_ROLES,
    CONTENT_KEYS,
    ROLE_KEYS,
    ROLE_NAMES,
    TRAINED_KEYS,
    WEIGHT_KEYS,
)

_ROLE: TypeAdapter[Role] = TypeAdapter(Role)
_KNOWN_KEYS = {"name", "tool_calls", "tool_call_id", "function_call", *TRAINED_KEYS, *WEIGHT_KEYS}


@dataclass
class TurnReader:
    """Reads turns; `ignored` counts keys that nothing was done with.

    `role_key` and `content_key` are what the recipe says they are called, None for the usual names; `roles` maps
    further names of speakers to ours.
    """

    role_key: str | None = None
    content_key: str | None = None
    roles: Mapping[str, str] = field(default_factory=dict)
    ignored: Counter[str] = field(default_factory=Counter)

    def read(self, value: JsonValue) -> list[Message]:
        """The messages of a list of turns (or of the JSON text of one); RowFault for what is none."""
        turns = from_json_text(value, "turns")
        if not isinstance(turns, list):
            raise RowFault("turns are not a list", kind_of(turns))
        if not turns:
            raise RowFault("no turns at all")
        return [self.read_turn(turn, number) for number, turn in enumerate(turns, start=1)]

    def read_turn(self, turn: JsonValue, number: int) -> Message:
        """One turn; RowFault names it by its number from 1."""
        where = f"turn {number}"
        if not isinstance(turn, dict):
            raise RowFault("a turn is not an object", f"{where} is {kind_of(turn)}")
        role_key = self._key(turn, self.role_key, ROLE_KEYS, "role", where)
        spoken = turn[role_key]
        if not isinstance(spoken, str):
            raise RowFault("a role is not text", f"{where}: {role_key} is {kind_of(spoken)}")
        role = self._role(spoken, where)
        calls = _calls(turn, where)
        content_key = self._content_key(turn, where, optional=bool(calls))
        content = "" if content_key is None else _content(turn[content_key], where, optional=bool(calls))
        if spoken.lower() in CALL_ROLES:
            calls, content = _call_text(content, where), ""
        self.ignored.update(key for key in turn if key not in {role_key, content_key, *_KNOWN_KEYS})
        return _message(turn, role, content, calls, where)

    def _role(self, spoken: str, where: str) -> Role:
        name = self.roles.get(spoken) or ROLE_NAMES.get(spoken.lower())
        if name is None:
            raise RowFault("unknown role", f"{where} is by {spoken!r}")
        return _ROLE.validate_python(name)

    def _content_key(self, turn: dict[str, JsonValue], where: str, *, optional: bool) -> str | None:
        known = [self.content_key] if self.content_key else CONTENT_KEYS
        if optional and not any(key in turn for key in known):
            return None
        return self._key(turn, self.content_key, CONTENT_KEYS, "content", where)

    def _key(self, turn: dict[str, JsonValue], given: str | None, usual: tuple[str, ...], what: str, where: str) -> str:
        present = [key for key in ([given] if given else usual) if key in turn]
        if not present:
            raise RowFault(f"a turn without {what}", f"{where} has {', '.join(turn) or 'nothing'}")
        if len(present) > 1:
            raise RowFault(f"a turn with two keys for {what}", f"{where}: {' and '.join(present)}")
        return present[0]


def _message(turn: dict[str, JsonValue], role: Role, content: str, calls: list[ToolCall], where: str) -> Message:
    try:
        return Message.model_validate(
            {
                "role": role,
                "content": content,
                "name": turn.get("name"),
                "trained": _first(turn, TRAINED_KEYS),
                "weight": _first(turn, WEIGHT_KEYS),
                "tool_calls": calls,
                "tool_call_id": turn.get("tool_call_id"),
            },
            strict=True,
        )
    except ValidationError as error:
        first = error.errors()[0]
        raise RowFault("a turn's key has the wrong type", f"{where}: {first['loc'][0]}: {first['msg']}") from error


def _first(turn: dict[str, JsonValue], keys: tuple[str, ...]) -> JsonValue:
    return next((turn[key] for key in keys if turn.get(key) is not None), None)


def _content(value: JsonValue, where: str, *, optional: bool) -> str:
    """Text as it stands, or the text of typed parts put together."""
    if isinstance(value, str):
        return value
    if value is None and optional:
        return ""
    if not isinstance(value, list):
        raise RowFault("content is not text", f"{where}: {kind_of(value)}")
    return "".join(_part(part, where) for part in value)


def _part(part: JsonValue, where: str) -> str:
    if isinstance(part, str):
        return part
    kind = part.get("type") if isinstance(part, dict) else None
    if not isinstance(part, dict) or kind not in ("text", "input_text", "output_text"):
        raise RowFault("a content part that is not text", f"{where}: type {kind or kind_of(part)}")
    texts = [part[key] for key in ("text", "value", "content") if key in part]
    if len(texts) != 1 or not isinstance(texts[0], str):
        raise RowFault("a content part without its text", f"{where} has {', '.join(part)}")
    return texts[0]


def _calls(turn: dict[str, JsonValue], where: str) -> list[ToolCall]:
    """Tool calls as OpenAI writes them, today (`tool_calls`) and in former days (`function_call`)."""
    listed = turn.get("tool_calls")
    if listed is None:
        old = turn.get("function_call")
        return [] if old is None else [_call(old, where)]
    if not isinstance(listed, list):
        raise RowFault("tool_calls is not a list", where)
    return [_call(entry, where) for entry in listed]


def _call(entry: JsonValue, where: str) -> ToolCall:
    if not isinstance(entry, dict):
        raise RowFault("a tool call is not an object", f"{where}: {kind_of(entry)}")
    inner = entry.get("function", entry)
    name = inner.get("name") if isinstance(inner, dict) else None
    identity = entry.get("id")
    if not isinstance(inner, dict) or not isinstance(name, str) or not name:
        raise RowFault("a tool call without a name", where)
    if identity is not None and not isinstance(identity, str):
        raise RowFault("a tool call's id is not text", where)
    return ToolCall(name=name, arguments=_arguments(inner.get("arguments")), id=identity)


def _arguments(value: JsonValue) -> JsonValue:
    """Arguments often come as the text of a JSON object; text that is none stays text."""
    if not isinstance(value, str):
        return value
    try:
        read: JsonValue = json.loads(value)
    except ValueError:
        return value
    return read


def _call_text(text: str, where: str) -> list[ToolCall]:
    """The calls that a ShareGPT `function_call` turn holds as JSON text: one object, or a list of them."""
    try:
        value: JsonValue = json.loads(text)
    except ValueError as error:
        raise RowFault("a tool call is not JSON", f"{where}: {error}") from error
    return [_call(entry, where) for entry in (value if isinstance(value, list) else [value])]


def from_json_text(value: JsonValue, what: str) -> JsonValue:
    """`value`, or what its JSON text says where a table keeps lists as text; RowFault when that is damaged."""
    if not isinstance(value, str):
        return value
    if not value.strip():
        return None
    try:
        read: JsonValue = json.loads(value)
    except ValueError as error:
        raise RowFault(f"{what} are text that is not JSON", str(error)) from error
    return read


def kind_of(value: JsonValue) -> str:
    """What a value is, in a message's words."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "a boolean"
    return {str: "text", int: "a number", float: "a number", list: "a list", dict: "an object"}[type(value)]
