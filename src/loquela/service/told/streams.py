"""The service's own log streams, in `<data>/logs/`, and on stderr where that is wanted."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from pydantic import JsonValue

from loquela.core.errors import LoquelaError
from loquela.jobs.process_facts import worker_name
from loquela.jobs.settings import ServiceSettings
from loquela.monitoring.log_streams import LEVELS, Level, LogStreams

FOLDER, SERVICE = "logs", "loquela"
LARGEST_BYTES = 16 * 2**20


class ServiceLog:
    """What a container's operator reads on stderr is what lies in the files."""

    def __init__(self, settings: ServiceSettings) -> None:
        data = str(settings.data)
        places = {data: "<data>", str(settings.data.resolve()): "<data>", str(Path.home()): "<home>"}
        self.folder = settings.data / FOLDER
        self._streams = LogStreams(
            self.folder,
            form=settings.log_format,
            # A relative name is too short to be looked for in every line.
            places={place: name for place, name in places.items() if Path(place).is_absolute()},
            # Several processes may write here.
            writer={"service": SERVICE, "instance_id": worker_name()},
            largest_bytes=LARGEST_BYTES,
        )
        self._settings = settings
        self._silent = False

    @property
    def texts(self) -> bool:
        """Whether prompts and answers are kept."""
        return self._settings.log_texts

    def system(self, level: Level, message: str, **context: JsonValue) -> bool:
        """One line about the service; false where it could not be written down."""
        if LEVELS.index(level) < LEVELS.index(self._settings.log_level):
            return True
        return self._tell(lambda: self._streams.log_system(level, message, context))

    def interaction(self, event: str, **data: JsonValue) -> None:
        """One line about what a model was asked and answered."""
        self._tell(lambda: self._streams.log_llm_interaction("inference", event, data))

    def _tell(self, write: Callable[[], str]) -> bool:
        """Write a line; where that cannot be (the disk is full), nobody's request fails for it: stderr hears why."""
        try:
            line = write()
        except (LoquelaError, OSError) as error:
            if not self._silent:
                self._silent = True
                sys.stderr.write(f"the log in {self.folder} cannot be written: {error}\n")
            return False
        self._silent = False
        if self._settings.log_stderr:
            sys.stderr.write(line + "\n")
        return True
