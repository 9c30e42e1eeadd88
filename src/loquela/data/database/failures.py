"""What a database says, as our errors: whose fault it is, and what to do."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from loquela.core.errors import DataError, ErrorCode, LoquelaError, RecipeError, ResourceError

if TYPE_CHECKING:
    from sqlalchemy.exc import DBAPIError

AUTHENTICATION = re.compile(
    r"authentication failed|no password supplied|password is required|role .* does not exist|no pg_hba.conf entry",
    re.IGNORECASE,
)
WRITING = re.compile(r"read-only transaction|read-write mode|readonly database", re.IGNORECASE)
TOO_LONG = re.compile(r"statement timeout|^interrupted", re.IGNORECASE)
BUSY = re.compile(r"database (?:table )?is locked", re.IGNORECASE)
NO_DATABASE = re.compile(r"file is not a database|malformed", re.IGNORECASE)
# SQLSTATE classes that the query itself is the reason of: syntax and names, values, cardinality.
QUERY_STATES = ("42", "22", "21", "0A")
SQLITE_QUERY = re.compile(
    r"no such|syntax error|ambiguous|unrecognized token|incomplete input|wrong number of arguments"
)


def database_failure(error: DBAPIError, address: str, timeout_seconds: float) -> LoquelaError:
    """The error for what the driver raised; the statement's values are not repeated."""
    reason = str(error.orig).strip().splitlines()[0] if str(error.orig).strip() else type(error.orig).__name__
    state = str(getattr(error.orig, "sqlstate", None) or "")
    if state.startswith("28") or AUTHENTICATION.search(str(error.orig)):
        return ResourceError(
            ErrorCode.AUTH_FAILED,
            f"{address} refuses access: {reason}",
            "write credential: NAME, and keep it with: loquela credentials set NAME --kind basic",
            details={"source": address},
        )
    if WRITING.search(reason):
        return RecipeError(
            ErrorCode.INVALID_SOURCE,
            f"the query of {address} would change the database, which refused: {reason}",
            "write a query that only reads",
            details={"source": address},
        )
    if TOO_LONG.search(reason):
        return ResourceError(
            ErrorCode.TIMEOUT,
            f"{address} worked on one batch for more than {timeout_seconds:g} s",
            "raise database.timeout_seconds, lower database.batch_rows, or give the database an index to order by",
            details={"source": address},
        )
    if NO_DATABASE.search(reason):
        return DataError(
            ErrorCode.CORRUPT_DATA,
            f"{address} is no usable database: {reason}",
            "give the address of a SQLite database, or restore it from a copy",
            details={"source": address},
        )
    if state.startswith(QUERY_STATES) or (not state and SQLITE_QUERY.search(reason)):
        return RecipeError(
            ErrorCode.INVALID_SOURCE,
            f"{address} cannot run the query: {reason}",
            "correct database.query",
            details={"source": address, "sqlstate": state},
        )
    return ResourceError(
        ErrorCode.READ_FAILED if BUSY.search(reason) else ErrorCode.NETWORK_ERROR,
        f"reading from {address} failed: {reason}",
        "check that the database runs and can be reached, then run the same command again",
        retryable=True,
        details={"source": address, "sqlstate": state},
    )
