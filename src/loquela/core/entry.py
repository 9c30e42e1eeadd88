"""Calls across layers by name: "package.module:function", imported when it is needed."""

from __future__ import annotations

import importlib
from typing import TypeVar

Resolved = TypeVar("Resolved")


def resolve(path: str, kind: type[Resolved] | None = None) -> Resolved:
    """The object at `path`; ImportError or AttributeError when the table names something that is not there.

    `kind` only tells the type checker what is expected; usually the annotation of the target says it.
    """
    module_name, _, attribute = path.partition(":")
    found: Resolved = getattr(importlib.import_module(module_name), attribute)
    return found
