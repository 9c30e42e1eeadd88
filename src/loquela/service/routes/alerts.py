"""What is wrong now, what was sent about it, and a message to try the channels with."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request
from pydantic import ConfigDict, Field

from loquela.core.model import BoundaryModel
from loquela.service.alerts.desk import DeliveryPage, FiringAlert
from loquela.service.alerts.policy import RefusedFile
from loquela.service.authentication import Administrator, Reader
from loquela.service.parts import parts_of

router = APIRouter(prefix="/alerts", tags=["alerts"])


class FiringAlerts(BoundaryModel):
    """Everything that is wrong now."""

    alerts: list[FiringAlert]
    channels: list[str] = Field(description="names of the channels that are told")
    refused: RefusedFile | None = Field(description="why the file of rules and channels was not taken; older ones hold")


class AlertTest(BoundaryModel):
    """Which channel is tried; null: every one."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"channel": "team"}]})

    channel: str | None = Field(None, max_length=64)


class AlertTestAnswer(BoundaryModel):
    """The deliveries that were queued; GET /alerts/deliveries tells what became of them."""

    deliveries: list[str]


@router.get("")
def firing(request: Request, key: Reader) -> FiringAlerts:
    """What is wrong now."""
    desk = parts_of(request).alerts
    names = [channel.name for channel in desk.in_force.policy.channels]
    return FiringAlerts(alerts=desk.firing(), channels=names, refused=desk.in_force.refused)


@router.get("/deliveries")
def log(
    request: Request,
    key: Reader,
    before: Annotated[int | None, Query(ge=0)] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    subject: Annotated[str | None, Query(max_length=96)] = None,
) -> DeliveryPage:
    """What was sent, is to be sent, or could not be: newest first."""
    return parts_of(request).alerts.page(before, limit, subject)


@router.post("/test", status_code=202)
def test(body: AlertTest, request: Request, key: Administrator) -> AlertTestAnswer:
    """Queue a message for one channel, or for each."""
    return AlertTestAnswer(deliveries=parts_of(request).alerts.test(body.channel))
