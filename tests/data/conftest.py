"""Fixtures of the data tests."""

from collections.abc import Iterator

import pytest
from local_server import LocalServer


@pytest.fixture
def server() -> Iterator[LocalServer]:
    running = LocalServer()
    yield running
    running.close()
