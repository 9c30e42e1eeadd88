"""Plain YAML scalars, by the rules of YAML 1.2.

YAML 1.1, which most Python tools read, turns `no`, `on` and `off` into booleans, `2026-01-01` into a date,
`1:30` into ninety and leaves `1e-3` a string. Here only true and false are booleans, `1e-3` is a number,
and what two versions of YAML read differently (`010`) is refused.
"""

from __future__ import annotations

import math
import re

from pydantic import JsonValue

_NULL = re.compile(r"~|null|Null|NULL|")
_TRUE = re.compile(r"true|True|TRUE")
_FALSE = re.compile(r"false|False|FALSE")
_INTEGER = re.compile(r"[-+]?(0|[1-9][0-9]*)")
_GROUPED = re.compile(r"[-+]?[1-9][0-9]*(_[0-9]+)+")
_BASED = re.compile(r"0o[0-7]+|0x[0-9a-fA-F]+")
_LEADING_ZERO = re.compile(r"[-+]?0[0-9]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")

LONGEST_NUMBER = 400
"""Characters; a longer run of digits is no setting, and Python converts long ones in quadratic time."""


class ScalarError(ValueError):
    """A scalar that cannot be read one way only; `remedy` says how to write it."""

    def __init__(self, message: str, remedy: str) -> None:
        super().__init__(message)
        self.remedy = remedy


def read_scalar(text: str) -> JsonValue:
    """The value of a plain (unquoted) scalar; ScalarError for what is ambiguous or not finite."""
    if _NULL.fullmatch(text):
        return None
    if _TRUE.fullmatch(text):
        return True
    if _FALSE.fullmatch(text):
        return False
    return _read_number(text) if text[0] in "+-.0123456789" else text


def _read_number(text: str) -> JsonValue:
    if _NOT_FINITE.fullmatch(text):
        raise ScalarError(f"{text} is not a finite number", "write a number, or quote it if it is text")
    if _LEADING_ZERO.fullmatch(text):
        raise ScalarError(
            f"{text} is octal in one version of YAML and decimal in the other",
            f"write {text.lstrip('+-0') or 0} or 0o{text.lstrip('+-0') or 0}, or quote it if it is text",
        )
    if len(text) > LONGEST_NUMBER:
        return text
    if _INTEGER.fullmatch(text) or _GROUPED.fullmatch(text):
        return int(text)
    if _BASED.fullmatch(text):
        return int(text, 0)
    if not _FLOAT.fullmatch(text):
        return text
    number = float(text)
    if not math.isfinite(number):
        raise ScalarError(f"{text} is too large for a number", "write a smaller number, or quote it if it is text")
    return number
