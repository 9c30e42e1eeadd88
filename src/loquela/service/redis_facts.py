"""What happens, published in Redis under the names that other clients know. Nothing here reads them back.

channel trainer:events           every trainer.job.*.v1 and trainer.metrics.*.v1 of every run, as JSON
runs:status:<id>  runs:msg:<id>  runs:hb:<id>  runs:<id>:cancelled  runs:artifact:<id>:file_id
generate:<run>:<request>  score:<run>:<request>
"""

from __future__ import annotations

import json
import threading

from pydantic import JsonValue
from redis import Redis
from redis.exceptions import RedisError

from loquela.core.errors import LoquelaError
from loquela.jobs.artifacts import STORED, Artifacts
from loquela.jobs.event_log import EventLog
from loquela.jobs.listing import Listing
from loquela.jobs.records import Job, StoredEvent
from loquela.jobs.states import HELD, JobState
from loquela.service.numbers import worded_object

CHANNEL = "trainer:events"
PUBLISHED = ("trainer.job.", "trainer.metrics.")
KEPT_SECONDS = 7 * 86_400
LOOK_EVERY_SECONDS = 0.5
AWAY_SECONDS = 2.0
CONNECT_SECONDS = 2.0
POSITION = "loquela:facts:seq"
# Written only together with everything else: without it, Redis has lost what it was told.
MARK = "loquela:facts:whole"


class RedisFacts:
    """A thread that follows the event log. Two at once publish twice at worst; keys are the same."""

    def __init__(self, url: str, events: EventLog, listing: Listing, artifacts: Artifacts) -> None:
        self._redis = Redis.from_url(url, socket_connect_timeout=CONNECT_SECONDS, socket_timeout=10)
        self._events, self._listing, self._artifacts = events, listing, artifacts
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="redis-facts", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Publish no more."""
        self._stop.set()
        self._thread.join(timeout=15)
        if not self._thread.is_alive():  # who still reads must not find the connection taken away
            self._redis.close()

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                told = self.tell()
            except (RedisError, LoquelaError):
                # Redis or the database is away: what happened meanwhile is told when both are back.
                self._stop.wait(AWAY_SECONDS)
                continue
            if not told:
                self._stop.wait(LOOK_EVERY_SECONDS)

    def tell(self) -> int:
        """Publish what was not published yet; how many events those were."""
        if self._redis.get(MARK) is None:
            self._fill()
            return 0
        at = self._redis.get(POSITION)
        found = self._events.after(int(str(at, "ascii") if isinstance(at, bytes) else "0"), limit=200)
        for event in found:
            self._publish(event)
            self._redis.set(POSITION, event.seq)
        for job in self._listing.page(kind="run", states=tuple(HELD), limit=200).jobs:
            self._beat(job)
        return len(found)

    def _fill(self) -> None:
        """For a Redis that is new, or was emptied: where every run stands, all at once or not at all."""
        seq = self._events.last_seq()
        with self._redis.pipeline(transaction=True) as together:
            for job in self._listing.page(kind="run", limit=200).jobs:
                self._keep(job, together)
            for artifact in self._artifacts.page(kind="run", limit=200).artifacts:
                self._point(artifact.run_id, artifact.sha256, together)
            together.set(POSITION, seq)
            together.set(MARK, "1")
            together.execute()

    def _publish(self, event: StoredEvent) -> None:
        if event.name == STORED and event.run_id is not None:
            # Kept for good: without it nobody who only knows Redis would find the tarball.
            self._point(event.run_id, str(event.data["file_id"]), self._redis)
            return
        if event.run_id is None or event.job_id is None:
            return
        job = self._listing.get(event.job_id)
        if event.name.startswith(PUBLISHED):
            self._send(event, job, event.name)
        if event.name.startswith("job."):
            self._keep(job, self._redis)

    def _send(self, event: StoredEvent, job: Job, name: str) -> None:
        body: dict[str, JsonValue] = {
            "type": name,
            "job_id": job.run_id,
            "run_id": job.run_id,
            "user_id": job.labels.get("user_id", job.created_by),
            "at": event.at,
            "payload": worded_object(event.data),
        }
        self._redis.publish(CHANNEL, json.dumps(body))

    def _keep(self, job: Job, redis: Redis) -> None:
        """The keys of one job."""
        if job.kind in ("generate", "score"):
            if job.result is not None:
                key = f"{job.kind}:{job.run_id}:{job.id}"
                redis.set(key, json.dumps(worded_object(job.result)), ex=KEPT_SECONDS)
            return
        if job.kind != "run":
            # How a job on a run fares is not how the run does.
            return
        redis.set(f"runs:status:{job.run_id}", job.state, ex=KEPT_SECONDS)
        if job.message:
            redis.set(f"runs:msg:{job.run_id}", job.message, ex=KEPT_SECONDS)
        cancelled = f"runs:{job.run_id}:cancelled"
        if job.state in (JobState.CANCELLING, JobState.CANCELLED):
            redis.set(cancelled, "1", ex=KEPT_SECONDS)
        else:
            redis.delete(cancelled)

    def _point(self, run_id: str, file_id: str, redis: Redis) -> None:
        redis.set(f"runs:artifact:{run_id}:file_id", file_id)

    def _beat(self, job: Job) -> None:
        self._redis.set(f"runs:hb:{job.run_id}", job.updated_at, ex=KEPT_SECONDS)
