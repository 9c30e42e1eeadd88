"""A service with a database of its own, and keys for it."""

from __future__ import annotations

import pytest
from fastapi.testclient import TestClient

from loquela.jobs.clock import FakeClock
from loquela.jobs.settings import ServiceSettings
from loquela.service.app import build_app
from loquela.service.keys import Scope
from loquela.service.parts import make_parts


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def parts(tmp_path, clock):
    made = make_parts(ServiceSettings(data=tmp_path / "a service", failures_per_minute=0), clock)
    yield made
    made.close()


@pytest.fixture
def app(parts):
    return build_app(parts)


@pytest.fixture
def client_of(app, parts):
    """A client with a key of the given scopes; without any, one with no key."""

    def make(*scopes):
        headers = {}
        if scopes:
            key, _ = parts.keys.create("test", [Scope(scope) for scope in scopes])
            headers["Authorization"] = f"Bearer {key.text}"
        return TestClient(app, base_url="http://localhost", headers=headers, raise_server_exceptions=False)

    return make


@pytest.fixture
def owner(client_of):
    return client_of("admin")


@pytest.fixture
def story(parts):
    """A text that recipes may name."""
    place = parts.settings.corpus / "story.txt"
    place.write_text("The fox walked to the house.\n" * 100)
    return place
