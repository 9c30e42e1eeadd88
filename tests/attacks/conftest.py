"""The real service in a process of its own, one a module."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from attack_target import Target


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    made = Target(tmp_path_factory.mktemp("attacked"))
    yield made
    assert made.served.stop() == 0
