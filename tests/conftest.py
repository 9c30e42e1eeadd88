"""Puts this folder on the import path, for the helpers that several tests share."""

import os
import signal
import sys

# The alerts of whoever runs the tests are theirs.
os.environ.setdefault("LOQUELA_ALERTS_FILE", "")

# A suite that was started in the background is deaf to Ctrl+C, and so would be every program that its tests start.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_sessionfinish() -> None:
    """End the database server that tests share, where one was started."""
    shared = sys.modules.get("jobs_databases")
    if shared is not None:
        shared.stop_servers()
