"""The page on the service names every route, every setting and every state, and none that is not there."""

from __future__ import annotations

import re
from pathlib import Path

from fastapi.routing import APIRoute

from loquela.jobs.settings import ServiceSettings
from loquela.jobs.states import JobState
from loquela.service.app import OPENAI_ROUTERS, ROUTERS

PAGE = (Path(__file__).parents[2] / "docs" / "service.md").read_text(encoding="utf-8")


def test_every_route_is_named() -> None:
    table = PAGE.split("## Routes")[1].split("Everything that goes wrong")[0]
    for router in ROUTERS:
        for route in router.routes:
            assert isinstance(route, APIRoute)
            path = route.path
            tails = [path, path.removeprefix("/runs/{run_id}"), path.removeprefix("/runs/{run_id}/")]
            assert any(f"`{tail}`" in table or f" {tail}`" in table or f"…/{tail}`" in table for tail in tails), path
    for router in OPENAI_ROUTERS:
        for route in router.routes:
            assert isinstance(route, APIRoute)
            assert any(f"`{name}`" in table for name in ("/".join(route.path.split("/")[:n]) for n in (3, 4))), (
                route.path
            )


def test_every_setting_is_named_with_its_default() -> None:
    named = dict(re.findall(r"^\| `(\w+)` \| (.*?) \|", PAGE.split("## Settings")[1], re.MULTILINE))
    assert list(named) == list(ServiceSettings.model_fields)


def test_every_state_is_named() -> None:
    assert [state for state in JobState if state not in PAGE] == []
