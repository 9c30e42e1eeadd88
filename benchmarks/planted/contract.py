"""A fault, what became of it under Loquela, and what became of it under plain TRL."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Ours:
    """`by`: the proof or error code that names the fault; `when` it came up; None of both when nothing did."""

    by: str | None
    when: str | None
    says: str

    @property
    def caught(self) -> bool:
        return self.by is not None


@dataclass(frozen=True)
class Theirs:
    """`ran` to the end; `warned` in which words, beside what a run without a fault says; what the result is."""

    ran: bool
    warned: str | None
    says: str
    losses: tuple[float, ...] = ()

    @property
    def silent(self) -> bool:
        return self.ran and self.warned is None


@dataclass(frozen=True)
class Fault:
    """`ours` and `theirs` get an empty folder each; `expected` is the proof or error code that should catch it."""

    name: str
    what: str
    expected: str
    ours: Callable[[Path], Ours]
    theirs: Callable[[Path], Theirs]
