"""The threads of alerts in a service's process: one decides, one a channel sends. Channels may come and go."""

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
from loquela.service.alerts.policy import InForce
from loquela.service.alerts.rows import give_up_unknown

LOOK_EVERY_SECONDS = 1.0
# What the database or a channel makes wait is tried again after this.
AWAY_SECONDS = 2.0
STOP_SECONDS = 25.0


class AlertThreads:
    """Runs from `start` to `stop`."""

    def __init__(self, database: Database, clock: Clock, in_force: InForce, data: Path, owner: str) -> None:
        self._database, self._clock = database, clock
        self._in_force, self._owner = in_force, owner
        self._evaluation = Evaluation(database, clock, in_force, data, owner)
        self._known: AlertPolicy | None = None
        self._stop = threading.Event()
        self._deciding = self._thread("alerts", self._decide)
        self._sending: dict[str, threading.Thread] = {}

    def start(self) -> None:
        """Begin to look. Errors as `Database.write`."""
        self._see_channels()
        self._deciding.start()

    def stop(self) -> None:
        """Look no more; what was not sent stays in its row."""
        self._stop.set()
        for thread in (self._deciding, *self._sending.values()):
            if thread.is_alive():
                thread.join(STOP_SECONDS)

    def _decide(self) -> bool:
        self._see_channels()
        return self._evaluation.turn() > 0

    def _see_channels(self) -> None:
        """A thread for every channel that is new; what waits for one that is gone has failed."""
        policy = self._in_force.policy
        if policy is self._known:
            return
        names = [settings.name for settings in policy.channels]
        with self._database.write() as connection:
            give_up_unknown(connection, names, self._clock.now())
        for name in names:
            if name not in self._sending:
                sender = Delivering(self._database, self._clock, self._in_force, name, self._owner)
                self._sending[name] = self._thread("alerts-send", sender.deliver)
                self._sending[name].start()
        self._known = policy

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
