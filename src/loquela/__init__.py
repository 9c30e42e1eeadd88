"""Loquela trains, fine-tunes and ships language models. Proven, or it stops.

run = loquela.run("recipe.yaml", {"train.epochs": 2})
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

__version__ = "0.1.0"
__all__ = ["Run", "__version__", "open_run", "run"]

if TYPE_CHECKING:
    from loquela.api import Run, open_run, run


def __getattr__(name: str) -> object:
    # Loaded on first use, so that `import loquela` and `loquela --help` stay fast.
    if name in ("Run", "open_run", "run"):
        found: object = getattr(importlib.import_module("loquela.api"), name)
        return found
    raise AttributeError(f"module 'loquela' has no attribute {name!r}")
