"""The component that holds metrics against thresholds: one subject's memory, fed by observations or by requests."""

from __future__ import annotations

from collections.abc import Callable

from pydantic import JsonValue

from loquela.monitoring.alerts.channel_settings import ChannelSettings
from loquela.monitoring.alerts.contracts import AlertingSystemRequest, AlertingSystemResult
from loquela.monitoring.alerts.decision import decide
from loquela.monitoring.alerts.memory import AlertMemory
from loquela.monitoring.alerts.notification import SEVERITIES, Notification
from loquela.monitoring.alerts.observation import Observation
from loquela.monitoring.alerts.policy import AlertPolicy
from loquela.monitoring.alerts.routing import held_back, wants
from loquela.monitoring.alerts.rules import AlertRules
from loquela.monitoring.events import Bus, SilentBus, trace

COMPONENT = "AlertingSystem"
Send = Callable[[ChannelSettings, Notification], None]


class AlertingSystem:
    """Watches one `subject` under one policy."""

    def __init__(
        self, policy: AlertPolicy, subject: str, *, bus: Bus | None = None, memory: AlertMemory | None = None
    ) -> None:
        self.policy = policy
        self.subject = subject
        self.memory = memory or AlertMemory()
        self._bus: Bus = bus or SilentBus()

    def observe(self, seen: Observation, now: float, rules: AlertRules | None = None) -> list[Notification]:
        """What is to be told of `seen`; it is remembered as told. `rules`: instead of the policy's."""
        decision = decide(rules or self.policy.rules, self.memory, seen, self.subject, now)
        self.memory = decision.memory
        if seen.kind in ("step", "validated"):
            trace(self._bus, COMPONENT, "threshold_check", step=seen.step, alerts=len(decision.notifications))
        return decision.notifications

    def check(self, request: AlertingSystemRequest, send: Send, now: float) -> AlertingSystemResult:
        """Hold the metrics of one step against thresholds, and tell the channels of the kinds that are asked for.

        Raises what `send` raises: ResourceError(NOTIFICATION_FAILED), after the other channels were told.
        """
        rules = self.policy.rules.model_copy(deep=True)
        rules.loss_spike.factor = request.thresholds.loss_spike_factor
        rules.gradient_norm.over = request.thresholds.gradient_norm_max
        told = [one for seen in _seen(request.metrics) for one in self.observe(seen, now, rules)]
        failures: list[Exception] = []
        for notification in told:
            for channel in self.policy.channels:
                if channel.kind not in request.alert_channels or not wants(channel, notification):
                    continue
                if held_back(self.policy.quiet_hours, notification, now):
                    continue
                try:
                    send(channel, notification)
                except Exception as error:  # told below, when everybody who can be reached was
                    failures.append(error)
                else:
                    trace(self._bus, COMPONENT, "alert_sent", channel=channel.name, rule=notification.rule)
        if failures:
            raise failures[0]
        triggers = [one for one in told if one.action == "trigger"]
        worst = max(triggers, key=lambda one: SEVERITIES.index(one.severity), default=None)
        return AlertingSystemResult(
            alert_id=worst.alert_id if worst else None,
            alert_triggered=worst is not None,
            severity=worst.severity if worst else None,
        )


def _seen(metrics: dict[str, JsonValue]) -> list[Observation]:
    """What the metrics of one step say."""
    step = metrics.get("step")
    number = step if isinstance(step, int) and not isinstance(step, bool) else None
    found = []
    loss, norm, validation = (_number(metrics.get(name)) for name in ("loss", "gradient_norm", "validation_loss"))
    if loss is not None or norm is not None:
        found.append(Observation(kind="step", step=number, loss=loss, gradient_norm=norm))
    if validation is not None:
        found.append(Observation(kind="validated", step=number, loss=validation))
    return found


def _number(value: JsonValue) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
