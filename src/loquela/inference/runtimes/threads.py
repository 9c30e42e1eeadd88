"""How many threads a runtime computes with."""

from __future__ import annotations

from loquela.compute.threads import usable_cores

ONE_THREAD_PARAMETERS = 30_000_000
"""Below this a token takes less time than waking a second thread: measured in docs/export.md."""


def threads_for(parameters: int) -> int:
    """One thread for a model of few `parameters`, else every core that this process may use."""
    return 1 if parameters < ONE_THREAD_PARAMETERS else usable_cores()
