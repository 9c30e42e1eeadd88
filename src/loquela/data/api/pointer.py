"""JSON pointers (RFC 6901): "/data/items/0/text"; a plain name "text" means "/text"."""

from __future__ import annotations

from pydantic import JsonValue


class NotThere(Exception):
    """The pointer leads nowhere in this document."""


def value_at(document: JsonValue, pointer: str) -> JsonValue:
    """The value that `pointer` names in `document`; raises NotThere."""
    found = document
    for part in _parts(pointer):
        if isinstance(found, dict) and part in found:
            found = found[part]
        elif isinstance(found, list) and part.isascii() and part.isdigit() and int(part) < len(found):
            found = found[int(part)]
        else:
            raise NotThere(part)
    return found


def _parts(pointer: str) -> list[str]:
    if not pointer.startswith("/"):
        return [pointer] if pointer else []
    return [part.replace("~1", "/").replace("~0", "~") for part in pointer[1:].split("/")]
