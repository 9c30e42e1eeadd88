"""The two logs of a run, JSON lines: `system.log` and `llm_interaction.log`."""

from __future__ import annotations

import json
from collections import deque
from datetime import UTC, datetime
from pathlib import Path

from pydantic import JsonValue

from loquela.core.atomic import append_line, write_error
from loquela.monitoring.events import Event

LINES_KEPT = 50
FREQUENT = (".step_complete.v1", ".batch_loaded.v1", ".gradient_computed.v1", ".metrics_received.v1")
INTERACTIONS = ("inference.", "generation.")


class RunLogs:
    """Writes both logs; as a bus listener it files every event but the per-step ones under `system`."""

    def __init__(self, directory: Path) -> None:
        try:
            directory.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise write_error(error, directory) from error
        self.system_path = directory / "system.log"
        self.interaction_path = directory / "llm_interaction.log"
        self._last: deque[str] = deque(maxlen=LINES_KEPT)

    def __call__(self, event: Event) -> None:
        if event.name.startswith(INTERACTIONS):
            self.log_llm_interaction(event.component or "inference", event.name, event.data)
        elif not event.name.endswith(FREQUENT):
            self.log_system("info", event.name, event.data)

    def log_system(self, level: str, message: str, context: dict[str, JsonValue]) -> None:
        """One line about the program: level (debug, info, warning, error), message, context."""
        line = _line({"level": level, "message": message, "context": context})
        self._last.append(line)
        append_line(self.system_path, line)

    def log_llm_interaction(self, component: str, event: str, data: dict[str, JsonValue]) -> None:
        """One line about text that went into or came out of a model."""
        append_line(self.interaction_path, _line({"component": component, "event": event, "data": data}))

    def last_lines(self) -> str:
        """The newest lines of the system log, at most 50."""
        return "\n".join(self._last)


def _line(fields: dict[str, JsonValue]) -> str:
    return json.dumps({"timestamp": datetime.now(UTC).isoformat(), **fields}, ensure_ascii=False)
