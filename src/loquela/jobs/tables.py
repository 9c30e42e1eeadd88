"""The tables. Times are seconds since 1970 in UTC; JSON columns hold what a boundary model wrote.

`jobs.fence` grows with every claim: whoever writes for a job names the fence that it was given, and a write with an old
one changes nothing. `events.seq` orders everything that was ever said, over all jobs.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    text,
)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(column_0_label)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)
# SQLite numbers rows by itself only where the key is a plain INTEGER.
Sequence = BigInteger().with_variant(Integer, "sqlite")


def _of_projects(name: str, *columns: str) -> Index:
    """An index of rows that belong to a project: where there are none, it holds nothing."""
    some = text("project IS NOT NULL")
    return Index(name, *columns, sqlite_where=some, postgresql_where=some)


jobs = Table(
    "jobs",
    metadata,
    Column("seq", Sequence, primary_key=True, autoincrement=True),
    Column("id", String(96), nullable=False, unique=True),
    Column("kind", String(32), nullable=False),
    Column("run_id", String(96), nullable=False),
    Column("spec", Text, nullable=False),
    Column("spec_digest", String(64), nullable=False),
    Column("state", String(16), nullable=False),
    Column("reason", String(32)),
    Column("message", Text, nullable=False, server_default=""),
    Column("error", Text),
    Column("priority", Integer, nullable=False, server_default="0"),
    Column("attempt", Integer, nullable=False, server_default="0"),
    Column("crashes", Integer, nullable=False, server_default="0"),
    Column("fence", Integer, nullable=False, server_default="0"),
    Column("lease_owner", String(128)),
    Column("lease_until", Float),
    Column("not_before", Float, nullable=False, server_default="0"),
    Column("created_at", Float, nullable=False),
    Column("updated_at", Float, nullable=False),
    Column("started_at", Float),
    Column("ended_at", Float),
    Column("progress_at", Float),
    Column("progress", Text, nullable=False, server_default="{}"),
    Column("labels", Text, nullable=False, server_default="{}"),
    Column("created_by", String(64), nullable=False, server_default=""),
    Column("result", Text),
    Column("project", String(48)),
    Index("ix_jobs_claim", "state", "priority", "seq"),
    Index("ix_jobs_run", "run_id", "kind", "seq"),
    Index("ix_jobs_kind", "kind", "seq"),
    _of_projects("ix_jobs_project", "project", "seq"),
)

idempotency_keys = Table(
    "idempotency_keys",
    metadata,
    Column("owner", String(64), primary_key=True),
    Column("key", String(255), primary_key=True),
    Column("request_digest", String(64), nullable=False),
    Column("job_id", String(96), ForeignKey("jobs.id"), nullable=False),
    Column("created_at", Float, nullable=False),
)

attempts = Table(
    "attempts",
    metadata,
    Column("job_id", String(96), ForeignKey("jobs.id"), primary_key=True),
    Column("fence", Integer, primary_key=True),
    Column("worker", String(128), nullable=False),
    Column("host", String(255), nullable=False),
    Column("boot_id", String(64), nullable=False),
    Column("pid", Integer),
    Column("started_at", Float, nullable=False),
    Column("ended_at", Float),
    Column("outcome", String(16)),
    Column("reason", String(32)),
    Column("first_step", Integer),
    Column("last_step", Integer),
)

events = Table(
    "events",
    metadata,
    Column("seq", Sequence, primary_key=True, autoincrement=True),
    Column("id", String(64), nullable=False, unique=True),
    Column("job_id", String(96)),
    Column("run_id", String(96)),
    Column("at", Float, nullable=False),
    Column("level", String(8), nullable=False, server_default="info"),
    Column("name", String(128), nullable=False),
    Column("message", Text, nullable=False, server_default=""),
    Column("data", Text, nullable=False, server_default="{}"),
    Column("project", String(48)),
    Index("ix_events_job", "job_id", "seq"),
    Index("ix_events_run", "run_id", "seq"),
    _of_projects("ix_events_project", "project", "seq"),
)

# How far a run's append-only file was taken in; written in the transaction that takes its lines.
ingested = Table(
    "ingested",
    metadata,
    Column("run_id", String(96), primary_key=True),
    Column("file", String(64), primary_key=True),
    Column("offset", BigInteger, nullable=False),
    Column("prefix_digest", String(64), nullable=False),
)

metric_points = Table(
    "metric_points",
    metadata,
    Column("run_id", String(96), primary_key=True),
    Column("key", String(64), primary_key=True),
    Column("step", BigInteger, primary_key=True),
    Column("at", Float, nullable=False),
    Column("value", Float),
    Column("flag", String(16)),
)

# Of every ROLLUP_STEPS steps the lowest and the highest value with their steps, so that a chart of a million points
# reads thousands of rows.
metric_rollups = Table(
    "metric_rollups",
    metadata,
    Column("run_id", String(96), primary_key=True),
    Column("key", String(64), primary_key=True),
    Column("bucket", BigInteger, primary_key=True),
    Column("points", Integer, nullable=False),
    Column("flags", Integer, nullable=False),
    Column("low", Float),
    Column("low_step", BigInteger),
    Column("high", Float),
    Column("high_step", BigInteger),
)

files = Table(
    "files",
    metadata,
    Column("seq", Sequence, primary_key=True, autoincrement=True),
    Column("id", String(64), nullable=False, unique=True),
    Column("owner", String(64), nullable=False),
    Column("name", String(255), nullable=False),
    Column("purpose", String(32), nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("created_at", Float, nullable=False),
    Column("deleted_at", Float),
    Column("project", String(48)),
)

# Tarballs that lie in the store, each written down only after it was read back and proven. `as_of` is before it was
# packed: whatever happened to the run later is not in it.
artifacts = Table(
    "artifacts",
    metadata,
    Column("seq", Sequence, primary_key=True, autoincrement=True),
    Column("kind", String(16), nullable=False),
    Column("subject", String(192), nullable=False),
    Column("run_id", String(96), nullable=False),
    Column("store", String(512), nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("files", Integer, nullable=False),
    Column("as_of", Float, nullable=False),
    Column("verified_at", Float, nullable=False),
    Column("cleaned_at", Float),
    Index("ix_artifacts_subject", "kind", "subject", "run_id", unique=True),
    Index("ix_artifacts_run", "run_id"),
    Index("ix_artifacts_digest", "sha256"),
)

api_keys = Table(
    "api_keys",
    metadata,
    Column("id", String(16), primary_key=True),
    Column("name", String(128), nullable=False),
    Column("digest", String(64), nullable=False),
    Column("scopes", Text, nullable=False),
    Column("owner", String(64), nullable=False),
    Column("created_at", Float, nullable=False),
    Column("expires_at", Float),
    Column("revoked_at", Float),
    Column("last_used_at", Float),
    Column("project", String(48)),
)

# Every privileged act; each entry is bound to the one before it, and numbers have no gaps.
audit = Table(
    "audit",
    metadata,
    Column("seq", Sequence, primary_key=True, autoincrement=False),
    Column("at", Float, nullable=False),
    Column("actor", String(64), nullable=False),
    Column("address", String(64), nullable=False),
    Column("request_id", String(64), nullable=False),
    Column("action", String(64), nullable=False),
    Column("target", String(200), nullable=False),
    Column("outcome", String(16), nullable=False),
    Column("details", Text, nullable=False),
    Column("previous", String(64), nullable=False),
    Column("digest", String(64), nullable=False),
)

# Whose turn it is to decide on alerts, and the last event that was decided on.
alert_turns = Table(
    "alert_turns",
    metadata,
    Column("name", String(32), primary_key=True),
    Column("owner", String(128), nullable=False),
    Column("until", Float, nullable=False),
    Column("number", BigInteger, nullable=False),
    Column("seq", BigInteger, nullable=False),
)

# What is remembered of each run between two decisions, and how many of its alerts fire.
alert_memories = Table(
    "alert_memories",
    metadata,
    Column("subject", String(96), primary_key=True),
    Column("memory", Text, nullable=False),
    Column("firing", Integer, nullable=False),
    Column("updated_at", Float, nullable=False),
    Index("ix_alert_memories_firing", "firing"),
)

# One message to one channel a row; it is claimed while it is sent.
deliveries = Table(
    "deliveries",
    metadata,
    Column("seq", Sequence, primary_key=True, autoincrement=True),
    Column("id", String(64), nullable=False, unique=True),
    Column("channel", String(64), nullable=False),
    Column("dedup_key", String(200), nullable=False),
    Column("subject", String(96), nullable=False),
    Column("notification", Text, nullable=False),
    Column("state", String(16), nullable=False),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("not_before", Float, nullable=False, server_default="0"),
    Column("lease_owner", String(128)),
    Column("lease_until", Float),
    Column("created_at", Float, nullable=False),
    Column("ended_at", Float),
    Column("error", Text),
    Index("ix_deliveries_due", "state", "channel", "seq"),
    Index("ix_deliveries_subject", "subject", "seq"),
)
