"""Which field or column of the records holds the text."""

from __future__ import annotations

from collections.abc import Collection

from loquela.core.errors import DataError, ErrorCode
from loquela.core.near_names import nearest

# What data sets call it, the commonest first.
TEXT_NAMES = (
    "text",
    "content",
    "body",
    "document",
    "article",
    "raw_content",
    "raw_text",
    "page_content",
    "texto",
    "contenido",
)


def text_field(wanted: str | None, names: Collection[str], source: str, kind: str, *, required: bool) -> str | None:
    """`wanted`, or else the first usual name among `names`, the fields that are there; None where none is required.

    `kind` is what they are called in messages. DataError(INVALID_SOURCE) names what is there, and what is near.
    """
    by_case = {name.strip().lower(): name for name in reversed(list(names))}
    if wanted is not None:
        if wanted in names:
            return wanted
        near = nearest(wanted, names)
        hint = f"; did you mean {near!r}?" if near else ""
        raise _missing(source, f"has no {kind} {wanted!r}{hint}", names, kind)
    for usual in TEXT_NAMES:
        if usual in by_case:
            return by_case[usual]
    if not required:
        return None
    raise _missing(source, f"has no {kind} with a usual name for text ({', '.join(TEXT_NAMES[:4])}, …)", names, kind)


def _missing(source: str, what: str, names: Collection[str], kind: str) -> DataError:
    listed = [str(name) for name in names]
    shown = ", ".join(listed[:30]) + (f" and {len(listed) - 30} more" if len(listed) > 30 else "")
    return DataError(
        ErrorCode.INVALID_SOURCE,
        f"{source} {what}; there are: {shown or 'none'}",
        f"set text to the {kind} that holds the text, in the source's entry",
        details={"source": source, "names": [*listed[:100]]},
    )
