"""The two logs of a run, JSON lines: `system.log` and `llm_interaction.log`."""

from __future__ import annotations

from collections import deque
from pathlib import Path

from pydantic import JsonValue

from loquela.monitoring.events import Event
from loquela.monitoring.log_streams import Level, LogStreams

LINES_KEPT = 50
FREQUENT = (
    ".step_complete.v1",
    ".batch_loaded.v1",
    ".gradient_computed.v1",
    ".metrics_received.v1",
    ".threshold_check.v1",
)
INTERACTIONS = ("inference.", "generation.")


class RunLogs:
    """Writes both logs; as a bus listener it files every event but the per-step ones under `system`."""

    def __init__(self, directory: Path) -> None:
        self._streams = LogStreams(directory)
        self.system_path, self.interaction_path = self._streams.system_path, self._streams.interaction_path
        self._last: deque[str] = deque(maxlen=LINES_KEPT)

    def __call__(self, event: Event) -> None:
        if event.name.startswith(INTERACTIONS):
            self.log_llm_interaction(event.component or "inference", event.name, event.data)
        elif not event.name.endswith(FREQUENT):
            self.log_system("info", event.name, event.data)

    def log_system(self, level: Level, message: str, context: dict[str, JsonValue]) -> None:
        """One line about the program: level (debug to critical), message, context."""
        self._last.append(self._streams.log_system(level, message, context))

    def log_llm_interaction(self, component: str, event: str, data: dict[str, JsonValue]) -> None:
        """One line about text that went into or came out of a model."""
        self._streams.log_llm_interaction(component, event, data)

    def last_lines(self) -> str:
        """The newest lines of the system log, at most 50."""
        return "\n".join(self._last)
