"""Loquela trains, fine-tunes and ships language models. Proven, or it stops.

run = loquela.run("recipe.yaml", {"train.epochs": 2})    # on this machine
run = loquela.Client().train(open("recipe.yaml").read())  # by a service
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

__version__ = "0.1.0"
__all__ = ["AsyncClient", "Client", "Run", "__version__", "open_run", "run"]

if TYPE_CHECKING:
    from loquela.api import Run, open_run, run
    from loquela.client.async_client import AsyncClient
    from loquela.client.client import Client

HOMES = {
    "Run": "loquela.api",
    "open_run": "loquela.api",
    "run": "loquela.api",
    "Client": "loquela.client.client",
    "AsyncClient": "loquela.client.async_client",
}


def __getattr__(name: str) -> object:
    # Loaded on first use, so that `import loquela` and `loquela --help` stay fast.
    if name in HOMES:
        found: object = getattr(importlib.import_module(HOMES[name]), name)
        return found
    raise AttributeError(f"module 'loquela' has no attribute {name!r}")
