"""The live objects that routes work with, put together once."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from fastapi import Request

from loquela.core.errors import ErrorCode, RecipeError
from loquela.jobs.archivist import Archivist
from loquela.jobs.audit import AuditLog
from loquela.jobs.charts import Charts
from loquela.jobs.claims import Claims, Holder
from loquela.jobs.cleanup import CleanUp
from loquela.jobs.clock import Clock, MonotonicClock, SystemClock
from loquela.jobs.database import Database
from loquela.jobs.doorbell.choice import doorbell_for
from loquela.jobs.doorbell.contract import Doorbell
from loquela.jobs.event_log import EventLog
from loquela.jobs.listing import Listing
from loquela.jobs.process_facts import boot_id, host_name, worker_name
from loquela.jobs.requests import Requests
from loquela.jobs.schema import migrate
from loquela.jobs.settings import ServiceSettings
from loquela.jobs.submissions import Submissions
from loquela.monitoring.telemetry.tracing import Tracing, open_tracing
from loquela.service.alerts.desk import AlertDesk
from loquela.service.alerts.live_policy import LivePolicy
from loquela.service.alerts.policy import InForce, policy_of
from loquela.service.inference.dispatcher import Dispatcher
from loquela.service.inference.pool import EnginePool
from loquela.service.keeper import Keeper
from loquela.service.keys import KeyStore, load_or_make_secret
from loquela.service.limits import Limits
from loquela.service.live_settings import LiveSettings
from loquela.service.redis_facts import RedisFacts
from loquela.service.shared_buckets import SharedBuckets
from loquela.service.told.events import EventLines
from loquela.service.told.interactions import Interactions
from loquela.service.told.streams import ServiceLog
from loquela.service.uploads import Uploads

# Only whoever reads this can write an entry that fits, and the anchor shows whether the end is whole.
AUDIT_SECRET = Path("keys") / "audit.key"
AUDIT_ANCHOR = Path("keys") / "audit.anchor"
AUDIT_SECRET_BYTES = 32


@dataclass(frozen=True)
class Parts:
    """What an answer is made of; none of it is bound to a request."""

    settings: ServiceSettings
    clock: Clock
    database: Database
    doorbell: Doorbell
    submissions: Submissions
    listing: Listing
    requests: Requests
    events: EventLog
    charts: Charts
    keys: KeyStore
    audit: AuditLog
    alerts: AlertDesk
    live_alerts: LivePolicy
    limits: Limits
    shared_buckets: SharedBuckets | None
    uploads: Uploads
    pool: EnginePool
    dispatcher: Dispatcher
    archivist: Archivist
    keeper: Keeper
    facts: RedisFacts | None
    live: LiveSettings
    log: ServiceLog
    event_lines: EventLines
    tracing: Tracing | None

    @property
    def data(self) -> Path:
        """The folder of everything."""
        return self.settings.data

    def run_folder(self, run_id: str) -> Path:
        """Where a run of the database writes; the id comes from a row, never from a request."""
        return self.data / "runs" / run_id

    def model_folder(self, run_id: str) -> Path:
        """The same with its model in it: brought back from the store of artifacts where it was cleaned."""
        return self.archivist.model_folder(run_id)

    def within(self, project: str | None) -> Parts:
        """The same for a caller of `project`: nothing of another one is to be found in it."""
        if project is None:
            return self
        return replace(
            self,
            submissions=self.submissions.within(project),
            listing=self.listing.within(project),
            requests=self.requests.within(project),
            events=self.events.within(project),
            charts=self.charts.within(project),
            alerts=self.alerts.within(project),
            uploads=self.uploads.within(project),
            archivist=self.archivist.within(project),
        )

    def close(self) -> None:
        """Give connections back."""
        if self.facts is not None:
            self.facts.stop()
        self.keeper.stop()
        self.event_lines.stop()
        if self.tracing is not None:
            self.tracing.close()
        self.dispatcher.stop()
        self.pool.close()
        if self.shared_buckets is not None:
            self.shared_buckets.close()
        self.doorbell.close()
        self.database.close()


def make_parts(settings: ServiceSettings, clock: Clock | None = None) -> Parts:
    """Open the database, bring it to the newest schema, and put the rest together."""
    settings.data.mkdir(mode=0o700, parents=True, exist_ok=True)
    settings.corpus.mkdir(exist_ok=True)
    time = clock or SystemClock()
    database = Database(settings.database)
    migrate(database)
    audit = _audit(settings, database, time)
    log = ServiceLog(settings)
    pool = EnginePool(interactions=Interactions(log))
    events, listing = EventLog(database, time), Listing(database)
    claims = Claims(database, time, lease_seconds=settings.lease_seconds)
    archivist = Archivist(settings, database, time)
    in_force = InForce(policy_of(settings))
    shared_buckets = SharedBuckets(settings.redis, events) if settings.redis is not None else None
    return Parts(
        settings=settings,
        clock=time,
        database=database,
        doorbell=doorbell_for(settings.redis),
        submissions=Submissions(database, time, most_queued=lambda: settings.max_queued_jobs, audit=audit),
        listing=listing,
        requests=Requests(database, time, audit),
        events=events,
        charts=Charts(database),
        keys=KeyStore(database, time, settings.data / "keys", audit),
        audit=audit,
        alerts=AlertDesk(database, time, in_force, audit),
        live_alerts=LivePolicy(in_force, settings, time, events, audit),
        limits=Limits(settings, clock or MonotonicClock(), shared_buckets),
        shared_buckets=shared_buckets,
        uploads=Uploads(database, time, settings.data / "files", settings, audit),
        pool=pool,
        dispatcher=Dispatcher(archivist, claims, pool, Holder(worker_name(), host_name(), boot_id())),
        archivist=archivist,
        keeper=Keeper(settings, archivist, CleanUp(settings, archivist, time, audit)),
        facts=RedisFacts(settings.redis, events, listing, archivist.rows) if settings.redis is not None else None,
        live=LiveSettings(settings, events, audit),
        log=log,
        event_lines=EventLines(log, events),
        tracing=open_tracing("service"),
    )


def open_audit(settings: ServiceSettings) -> AuditLog:
    """The audit log alone, for reading; RecipeError(RUN_NOT_FOUND) where no service was."""
    if not (settings.data / AUDIT_SECRET).is_file():
        raise RecipeError(
            ErrorCode.RUN_NOT_FOUND,
            f"{settings.data} has no audit log: no service has worked there, or {AUDIT_SECRET} was taken away",
            "name the service's data folder: --data DIR",
        )
    return _audit(settings, Database(settings.database), SystemClock())


def _audit(settings: ServiceSettings, database: Database, clock: Clock) -> AuditLog:
    secret = load_or_make_secret(settings.data / AUDIT_SECRET, AUDIT_SECRET_BYTES)
    return AuditLog(database, clock, secret, settings.data / AUDIT_ANCHOR)


def parts_of(request: Request) -> Parts:
    """The service as far as the key that asks may see it; before its key is known, a request has none."""
    parts: Parts = request.state.parts
    return parts


def show_within(request: Request, project: str | None) -> None:
    """Let the request see what is of `project`: of all where it is None."""
    request.state.parts = whole_service(request).within(project)


def whole_service(request: Request) -> Parts:
    """All of the service that the request came to, for what is asked before there is a key."""
    parts: Parts = request.app.state.parts
    return parts
