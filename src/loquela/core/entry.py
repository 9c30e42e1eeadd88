"""Calls across layers by name: "package.module:function", imported when it is needed."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import TypeVar

Signature = TypeVar("Signature", bound=Callable[..., object])


def resolve(path: str, signature: type[Signature] | None = None) -> Signature:
    """The function at `path`; ImportError or AttributeError when the table names something that is not there.

    `signature` only tells the type checker what is expected.
    """
    module_name, _, attribute = path.partition(":")
    function: Signature = getattr(importlib.import_module(module_name), attribute)
    return function
