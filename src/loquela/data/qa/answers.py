"""What a stored answer says, and the request for repair of one that cannot be read."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from loquela.data.qa.pairs import Malformed
from loquela.data.qa.prompts import repair_request
from loquela.data.qa.providers.contract import Request
from loquela.data.qa.store import RequestStore

REFUSED = "the model refused"
MALFORMED = "answer is malformed"

Value = TypeVar("Value")


def needed_repair(
    store: RequestStore, request: Request, language: str | None, read: Callable[[str], object]
) -> Request | None:
    """The request for repair when the answer to `request` cannot be read; None when it can, or there is none."""
    stored = store.find(request.key)
    if stored is None or stored.completion is None or stored.completion.stop == "refusal":
        return None
    try:
        read(stored.completion.text)
    except Malformed as fault:
        return repair_request(request, stored.completion.text, str(fault), language)
    return None


def read_answer(
    store: RequestStore, request: Request, language: str | None, read: Callable[[str], Value]
) -> tuple[Value | None, str, str | None]:
    """What the answer to `request`, or to its repair, says; the key it was stored under; why there is nothing to read.

    The reason is REFUSED, MALFORMED, or one that begins with "request failed".
    """
    for asked in (request, needed_repair(store, request, language, read)):
        if asked is None:
            break
        stored = store.find(asked.key)
        if stored is None or stored.completion is None:
            kind = stored.failure if stored is not None and stored.failure is not None else "connection"
            return None, asked.key, f"request failed: {kind.replace('_', ' ')}"
        if stored.completion.stop == "refusal":
            return None, asked.key, REFUSED
        try:
            return read(stored.completion.text), asked.key, None
        except Malformed:
            continue
    return None, request.key, MALFORMED
