"""Progress of a run on stderr, or silence."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from loquela.monitoring.display import ProgressDisplay


def display_unless(silent: bool) -> AbstractContextManager[ProgressDisplay | None]:
    """The live display on stderr, or nothing."""
    if silent:
        return nullcontext()
    from loquela.monitoring.display import ProgressDisplay

    return ProgressDisplay()
