"""Brings a database to the newest schema, once, whoever comes first."""

from __future__ import annotations

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import text

from loquela.core.errors import ErrorCode, ResourceError
from loquela.jobs.audit_guard import make_append_only
from loquela.jobs.database import Database, shown

# Any number will do, as long as every process takes the same.
POSTGRESQL_LOCK = 7_205_119


def migrate(database: Database) -> None:
    """Walk the steps that the database lacks, in one transaction; ResourceError(CONFIG_VERSION) for a newer schema."""
    config = _config()
    with database.write() as connection:
        if not database.is_sqlite:
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": POSTGRESQL_LOCK})
        current = MigrationContext.configure(connection).get_current_revision()
        known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
        if current is not None and current not in known:
            raise ResourceError(
                ErrorCode.CONFIG_VERSION,
                f"{shown(database.url)} has a schema ({current}) that this version does not know",
                "use the Loquela that made it, or a newer one",
            )
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        make_append_only(connection)


def write_step(database: Database, message: str) -> None:
    """For developers: the step from what the database has to what tables.py says."""
    config = _config()
    with database.write() as connection:
        config.attributes["connection"] = connection
        command.revision(config, message=message, autogenerate=True)


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", "loquela.jobs:migrations")
    return config
