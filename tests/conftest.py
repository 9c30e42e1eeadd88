"""Puts this folder on the import path, for the helpers that several tests share."""

import os
import sys

# The alerts of whoever runs the tests are theirs.
os.environ.setdefault("LOQUELA_ALERTS_FILE", "")


def pytest_sessionfinish() -> None:
    """End the database server that tests share, where one was started."""
    shared = sys.modules.get("jobs_databases")
    if shared is not None:
        shared.stop_servers()
