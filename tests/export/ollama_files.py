"""Ollama's two languages, as far as a Modelfile of ours uses them: the file itself, and Go templates inside it.

The rules are those that Ollama's documentation and its parser describe: a command is letters up to a blank; its value
runs to the end of the line at which its quotes are closed, in single or triple double quotes without any escapes;
characters that Go does not print are dropped from it; a line that begins with # is a comment.
"""

from __future__ import annotations

import re

COMMANDS = {"from", "parameter", "template", "system", "adapter", "license", "message"}
PARAMETERS = {"num_ctx", "stop", "temperature", "top_k", "top_p", "seed"}


def read_modelfile(text: str) -> list[tuple[str, str]]:
    """(command, or name of the parameter; value) in order; AssertionError where Ollama would refuse the file."""
    found: list[tuple[str, str]] = []
    rest = text
    while rest.strip():
        if rest[0] in " \t\r\n":
            rest = rest[1:]
        elif rest[0] == "#":
            rest = rest.partition("\n")[2]
        else:
            name, rest = _word(rest, r"[A-Za-z]+", COMMANDS)
            if name == "parameter":
                name, rest = _word(rest, r"[A-Za-z0-9_]+", PARAMETERS)
            value, rest = _value(rest)
            found.append((name, value))
    assert any(name == "from" for name, _ in found), "no FROM line"
    return found


def _word(text: str, letters: str, known: set[str]) -> tuple[str, str]:
    match = re.match(rf"({letters})[ \t]", text)
    assert match is not None and match[1].lower() in known, text[:40]
    return match[1].lower(), text[match.end() :]


def _value(text: str) -> tuple[str, str]:
    kept = ""
    for place, character in enumerate(text):
        if character in "\r\n" and (value := _unquoted(kept.strip())) is not None:
            return value, text[place + 1 :]
        if character.isprintable() or character in " \t\r\n":
            kept += character
    value = _unquoted(kept.strip())
    assert value is not None, f"quotes are not closed: {kept[:40]}"
    return value, ""


def _unquoted(text: str) -> str | None:
    """The value inside its quotes; None while they are open."""
    for quotes in ('"""', '"'):
        if text.startswith(quotes):
            closed = len(text) >= 2 * len(quotes) and text.endswith(quotes)
            return text[len(quotes) : -len(quotes)] if closed else None
    return text


def write_conversation(template: str, turns: list[str]) -> str:
    """What a Go template writes for turns given as role=content: `if`, `else if`, `else`, `range`, `eq`, fields."""
    messages = [dict(zip(("Role", "Content"), turn.split("=", 1), strict=True)) for turn in turns]
    system = "".join(each["Content"] for each in messages if each["Role"] == "system")
    parts = re.split(r"\{\{(.*?)\}\}", template, flags=re.DOTALL)
    steps = [(part.strip(), number % 2 == 1) for number, part in enumerate(parts)]
    steps = [(part if inside else parts[number], inside) for number, (part, inside) in enumerate(steps)]
    written, end = _written(steps, 0, {"System": system, "Messages": messages})
    assert end == len(steps)
    return written


def _written(steps: list[tuple[str, bool]], place: int, data: dict, live: bool = True) -> tuple[str, int]:
    """Text of the steps up to the `end` or `else` that closes them, and its place; nothing where not `live`."""
    text = ""
    while place < len(steps):
        part, inside = steps[place]
        if not inside:
            text, place = text + (part if live else ""), place + 1
        elif part.startswith(("else", "end")):
            return text, place
        elif part.startswith("if "):
            branch, place = _chosen(steps, place, data, live)
            text += branch
        elif part == "range .Messages":
            for message in data["Messages"] if live else []:
                text += _written(steps, place + 1, message)[0]
            place = _written(steps, place + 1, {}, live=False)[1] + 1
        else:
            assert re.fullmatch(r"\.[A-Z][a-z]+", part), f"no such action: {part}"
            text, place = text + (data[part[1:]] if live else ""), place + 1
    return text, place


def _chosen(steps: list[tuple[str, bool]], place: int, data: dict, live: bool) -> tuple[str, int]:
    text, taken = "", False
    while True:
        condition = steps[place][0].removeprefix("else").strip()
        holds = live and not taken and (not condition or _holds(condition, data))
        branch, place = _written(steps, place + 1, data, holds)
        text, taken = text + branch, taken or holds
        if steps[place][0] == "end":
            return text, place + 1


def _holds(condition: str, data: dict) -> bool:
    compared = re.fullmatch(r'if eq \.(\w+) "(\w+)"', condition)
    if compared:
        return data[compared[1]] == compared[2]
    return bool(data[condition.removeprefix("if .")])
