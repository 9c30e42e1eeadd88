"""The threads of alerts in a service's process: one decides, one a channel sends."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

from loquela.core.errors import LoquelaError
from loquela.jobs.clock import Clock
from loquela.jobs.database import Database
from loquela.monitoring.alerts.policy import AlertPolicy
from loquela.service.alerts.delivering import Delivering
from loquela.service.alerts.evaluation import Evaluation
from loquela.service.alerts.rows import give_up_unknown

LOOK_EVERY_SECONDS = 1.0
# What the database or a channel makes wait is tried again after this.
AWAY_SECONDS = 2.0
STOP_SECONDS = 25.0


class AlertThreads:
    """Runs from `start` to `stop`."""

    def __init__(self, database: Database, clock: Clock, policy: AlertPolicy, data: Path, owner: str) -> None:
        evaluation = Evaluation(database, clock, policy, data, owner)
        senders = [Delivering(database, clock, policy, settings, owner) for settings in policy.channels]
        self._database, self._clock = database, clock
        self._names = [settings.name for settings in policy.channels]
        self._stop = threading.Event()
        self._threads = [self._thread("alerts", lambda: evaluation.turn() > 0)]
        self._threads += [self._thread("alerts-send", sender.deliver) for sender in senders]

    def start(self) -> None:
        """Begin to look. Errors as `Database.write`."""
        with self._database.write() as connection:
            give_up_unknown(connection, self._names, self._clock.now())
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Look no more; what was not sent stays in its row."""
        self._stop.set()
        for thread in self._threads:
            if thread.is_alive():
                thread.join(STOP_SECONDS)

    def _thread(self, name: str, look: Callable[[], bool]) -> threading.Thread:
        return threading.Thread(target=self._work, args=(look,), name=name, daemon=True)

    def _work(self, look: Callable[[], bool]) -> None:
        while not self._stop.is_set():
            try:
                found = look()
            except LoquelaError:
                # The database is away: what happened meanwhile is looked at when it is back.
                self._stop.wait(AWAY_SECONDS)
                continue
            if not found:
                self._stop.wait(LOOK_EVERY_SECONDS)
