"""A page's bytes as JSON with a list of items, or an error that names the page and what is kept."""

from __future__ import annotations

import json

from pydantic import JsonValue

from loquela.core.errors import DataError, ErrorCode
from loquela.data.api.pointer import NotThere, value_at
from loquela.recipe.source_options.api import ApiOptions


def page_items(body: bytes, url: str, number: int, options: ApiOptions) -> tuple[JsonValue, list[JsonValue]]:
    """The page and its items; DataError(CORRUPT_DATA) when it is no JSON or has no list where one was said to be."""
    try:
        page: JsonValue = json.loads(body.decode("utf-8-sig"), parse_constant=_no_constant)
    except UnicodeDecodeError as error:
        raise _unusable(number, url, f"is not UTF-8: byte 0x{body[error.start]:02x} at {error.start}") from error
    except RecursionError as error:
        raise _unusable(number, url, "is nested too deeply") from error
    except ValueError as error:
        raise _unusable(number, url, f"is not JSON: {error}") from error
    try:
        items = value_at(page, options.items)
    except NotThere as error:
        raise _unusable(number, url, f"has nothing at {options.items} ({error} is not there)") from error
    if not isinstance(items, list):
        where = options.items or "its top"
        raise _unusable(number, url, f"has {type(items).__name__} at {where}, where the list of items should be")
    return page, items


def _no_constant(text: str) -> JsonValue:
    raise ValueError(f"{text} is no JSON value")


def _unusable(number: int, url: str, what: str) -> DataError:
    return DataError(
        ErrorCode.CORRUPT_DATA,
        f"page {number} of the interface ({url}) {what}; the {number - 1} pages before it are kept",
        "run the same command again: it goes on with this page; if it stays so, correct api.items or the address",
        details={"url": url, "page": number, "kept": number - 1},
    )
