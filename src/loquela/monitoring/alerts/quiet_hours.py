"""Hours in which only what is critical is told; the rest is held back and summed up when they end."""

from __future__ import annotations

from datetime import UTC, datetime, time
from typing import Annotated, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, Field, model_validator

from loquela.core.model import BoundaryModel


def _known_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"{name!r} is no time zone that this machine knows; write one such as Europe/Berlin") from None
    return name


ClockTime = Annotated[str, Field(pattern=r"^([01]\d|2[0-3]):[0-5]\d$")]


class QuietHours(BoundaryModel):
    """From `start` to `end` by the clocks of `time_zone`, every day; over midnight where `end` is the earlier one."""

    start: ClockTime = Field(description="first quiet minute, as 22:00")
    end: ClockTime = Field(description="first minute that is not, as 07:00")
    time_zone: Annotated[str, AfterValidator(_known_zone)] = Field(description="whose clocks: UTC, Europe/Berlin, …")

    @model_validator(mode="after")
    def _some_hours(self) -> Self:
        if self.start == self.end:
            raise ValueError("start and end are the same minute; leave quiet_hours out, or give two times")
        return self

    def quiet_at(self, at: float) -> bool:
        """Whether `at` (seconds since 1970, UTC) lies in these hours."""
        local = datetime.fromtimestamp(at, UTC).astimezone(ZoneInfo(self.time_zone)).time()
        start, end = time.fromisoformat(self.start), time.fromisoformat(self.end)
        if start < end:
            return start <= local < end
        return local >= start or local < end
