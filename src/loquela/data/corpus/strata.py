"""Names of sources without the place where they lie, so that the draw of a split is the same wherever that is."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from pathlib import PurePath

_LOCAL = re.compile(r"(file|folder|glob):(?!//)")
_ELSEWHERE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")


def names_without_places(names: Iterable[str]) -> dict[str, str]:
    """Name → the end of its path, as short as tells it from the others; what is no path of this machine stays.

    `/data/a/rows.jsonl` and `/data/b/rows.jsonl` are `a/rows.jsonl` and `b/rows.jsonl`.
    """
    parts = {name: _parts(name) for name in names}
    found: dict[str, str] = {name: name for name, path in parts.items() if not path}
    left = {name: path for name, path in parts.items() if path}
    length = 1
    while left:
        ends = Counter("/".join(path[-length:]) for path in parts.values() if path)
        for name, path in list(left.items()):
            end = "/".join(path[-length:])
            if ends[end] == 1 or length >= len(path):
                found[name] = end
                del left[name]
        length += 1
    return found


def _parts(name: str) -> tuple[str, ...]:
    local = _LOCAL.sub("", name, count=1)
    if local == name and _ELSEWHERE.match(name):
        return ()
    path = PurePath(local)
    return path.parts[1:] if path.is_absolute() else path.parts
