"""Which request comes after a page, in each of the ways that interfaces divide their answers."""

from __future__ import annotations

import httpx
from pydantic import JsonValue

from loquela.data.api.pointer import NotThere, value_at
from loquela.recipe.source_options.api import ApiOptions


def first_request(address: str, options: ApiOptions) -> str:
    """The address of the first page; `address` is without its prefix."""
    url = httpx.URL(address)
    for name, value in options.parameters.items():
        url = url.copy_set_param(name, value)
    if options.size_parameter is not None:
        url = url.copy_set_param(options.size_parameter, options.page_size)
    if options.pagination == "page":
        url = url.copy_set_param(options.page_parameter, options.first_page)
    if options.pagination == "offset":
        url = url.copy_set_param(options.offset_parameter, 0)
    return str(url)


def next_request(url: str, page: JsonValue, items: int, link: str | None, options: ApiOptions) -> str | None:
    """The address after the page of `url`, which had so many items and the header Link; None at the end."""
    here = httpx.URL(url)
    if options.pagination == "link":
        following = httpx.Response(200, headers={"Link": link or ""}).links.get("next", {}).get("url")
        return str(here.join(following)) if following else None
    if options.pagination == "cursor":
        return _after_cursor(here, page, options)
    if options.pagination == "page" and items:
        number = int(here.params[options.page_parameter]) + 1
        return str(here.copy_set_param(options.page_parameter, number))
    if options.pagination == "offset" and items:
        offset = int(here.params[options.offset_parameter]) + items
        return str(here.copy_set_param(options.offset_parameter, offset))
    return None


def _after_cursor(here: httpx.URL, page: JsonValue, options: ApiOptions) -> str | None:
    """The next page by the cursor in this one, which is a value to send back or a whole address."""
    try:
        cursor = value_at(page, options.cursor)
    except NotThere:
        return None
    if cursor is None or cursor is False or cursor == "":
        return None
    if isinstance(cursor, str) and cursor.startswith(("http://", "https://", "/", "?")):
        return str(here.join(cursor))
    return str(here.copy_set_param(options.cursor_parameter, str(cursor)))
