"""Matches of a prohibited pattern, taken out of a text."""

from __future__ import annotations

from dataclasses import replace

from loquela.data.validation.verdict import Span, Verdict


def redacted(verdict: Verdict, name: str, data: bytes, places: list[tuple[int, int]], substitute: str) -> Verdict:
    """`verdict` with `substitute` in the `places` of its text, whose UTF-8 bytes are `data`."""
    parts: list[bytes] = []
    spans: list[Span] = []
    at = characters = 0
    for start, end in places:
        parts += [data[at:start], substitute.encode("utf-8")]
        characters += len(data[at:start].decode("utf-8"))
        length = len(data[start:end].decode("utf-8"))
        spans.append(Span(name, characters, characters + length))
        characters += length
        at = end
    after = b"".join([*parts, data[at:]])
    changes = {**verdict.changes, name: len(after) - len(data)}
    return replace(verdict, text=after.decode("utf-8"), changes=changes, spans=[*verdict.spans, *spans])
