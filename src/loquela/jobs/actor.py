"""Who asks, for whatever is written down about it: known to everything that one request, or one command, sets off."""

from __future__ import annotations

import getpass
from contextvars import ContextVar
from dataclasses import dataclass


@dataclass
class Actor:
    """`name` is a key's id, `user:<login>` for a command, empty for a stranger; filled in as it becomes known."""

    name: str = ""
    address: str = ""
    request_id: str = ""
    # Whether what was asked has an entry of its own in the audit log.
    noted: bool = False
    # Whether they act with a right that changes things.
    privileged: bool = False


# The object is put there before a request is taken apart, so that every thread that works on it sees the same one.
ACTOR: ContextVar[Actor | None] = ContextVar("loquela_actor", default=None)


def current_actor() -> Actor:
    """Who asks now; outside any request, the user whom this process belongs to."""
    return ACTOR.get() or Actor(f"user:{_login()}")


def _login() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return "unknown"
