"""The audit log is only appended to: the database itself refuses to change or remove an entry.

Whoever may alter the schema can take this away again; the chain of digests is what shows that. It is here for
everybody else: a bug, a statement typed in the wrong window, a stranger who got no further than the rows.
"""

from __future__ import annotations

from sqlalchemy import Connection, text

SQLITE: tuple[str, ...] = (
    """
    CREATE TRIGGER IF NOT EXISTS audit_no_update BEFORE UPDATE ON audit
    BEGIN SELECT RAISE(ABORT, 'the audit log is only appended to'); END
    """,
    """
    CREATE TRIGGER IF NOT EXISTS audit_no_delete BEFORE DELETE ON audit
    BEGIN SELECT RAISE(ABORT, 'the audit log is only appended to'); END
    """,
    # INSERT OR REPLACE takes a row away without a word to the trigger for that.
    """
    CREATE TRIGGER IF NOT EXISTS audit_no_replace BEFORE INSERT ON audit
    WHEN EXISTS (SELECT 1 FROM audit WHERE seq = NEW.seq)
    BEGIN SELECT RAISE(ABORT, 'the audit log is only appended to'); END
    """,
)
POSTGRESQL_GUARDED = "SELECT 1 FROM pg_trigger WHERE tgrelid = 'audit'::regclass AND tgname = 'audit_append_only'"
POSTGRESQL: tuple[str, ...] = (
    """
    CREATE OR REPLACE FUNCTION audit_append_only() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN RAISE EXCEPTION 'the audit log is only appended to'; END $$
    """,
    """
    CREATE TRIGGER audit_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit
    FOR EACH STATEMENT EXECUTE FUNCTION audit_append_only()
    """,
)


def make_append_only(connection: Connection) -> None:
    """Guard the table `audit`, once; in the transaction that made it."""
    if connection.dialect.name == "sqlite":
        statements = SQLITE
    elif connection.execute(text(POSTGRESQL_GUARDED)).scalar() is None:
        statements = POSTGRESQL
    else:
        return
    for statement in statements:
        connection.exec_driver_sql(statement)
