"""A worker as a program: works until a signal asks it to save and stop."""

from __future__ import annotations

import signal
import threading
from types import FrameType

from loquela.jobs.database import Database
from loquela.jobs.doorbell.choice import doorbell_for
from loquela.jobs.schema import migrate
from loquela.jobs.settings import ServiceSettings
from loquela.worker.parent_death import die_with
from loquela.worker.worker import Worker


def work(settings: ServiceSettings, parent: int | None) -> None:
    """Claim and supervise jobs; with `parent`, only as long as that process lives."""
    settings.data.mkdir(mode=0o700, parents=True, exist_ok=True)
    database = Database(settings.database)
    migrate(database)
    doorbell = doorbell_for(settings.redis)
    worker = Worker(
        settings.data.resolve(),
        database,
        doorbell,
        lease_seconds=settings.lease_seconds,
        beat_seconds=settings.beat_seconds,
        grace_seconds=settings.grace_seconds,
    )

    def stop(number: int, frame: FrameType | None) -> None:
        # Not here: the signal may have come while this very thread holds the lock that `stop` waits for.
        threading.Thread(target=worker.stop, name="stop", daemon=True).start()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    if parent is not None:
        die_with(parent, settings.grace_seconds + 10)
    try:
        worker.run()
    finally:
        doorbell.close()
        database.close()
