"""Waiting for something to come true: as short as can be, and long enough for a machine that does ten other things."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

Found = TypeVar("Found")


def until(fits: Callable[[], Found], seconds: float = 150.0, *, every: float = 0.05) -> Found:
    """What `fits` gives as soon as that is true, asked again `every` so many seconds; an AssertionError after
    `seconds`, which shows what it gave last."""
    end = time.monotonic() + seconds
    while not (found := fits()):
        assert time.monotonic() < end, f"it did not come true within {seconds} s; the last answer was {found!r}"
        time.sleep(every)
    return found
