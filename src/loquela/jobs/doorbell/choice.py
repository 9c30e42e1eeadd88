"""Which bell the settings ask for."""

from __future__ import annotations

from loquela.core import extras
from loquela.core.errors import ErrorCode, RecipeError
from loquela.jobs.doorbell.contract import Doorbell
from loquela.jobs.doorbell.polling import PollingDoorbell

SCHEMES = ("redis://", "rediss://", "unix://")


def doorbell_for(redis_url: str | None) -> Doorbell:
    """RQ where there is a Redis, else looking again and again; RecipeError(CONFIG_INVALID) for another URL."""
    if redis_url is None:
        return PollingDoorbell()
    if not redis_url.startswith(SCHEMES):
        raise RecipeError(
            ErrorCode.CONFIG_INVALID, "redis_url is no address of a Redis", f"begin it with {' or '.join(SCHEMES)}"
        )
    extras.require("rq", extra="service", purpose="ringing workers through Redis")
    from loquela.jobs.doorbell.rq_bell import RqDoorbell

    return RqDoorbell(redis_url)
