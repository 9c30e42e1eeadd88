"""When Python collects its garbage: between steps, never inside one."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def collected_between_steps() -> Iterator[None]:
    """Python's collector runs at the loop's own times: a full collection in a step stalls every rank for its length."""
    was_enabled = gc.isenabled()
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        yield
    finally:
        gc.unfreeze()
        if was_enabled:
            gc.enable()
