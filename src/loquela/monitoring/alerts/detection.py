"""Whether each rule fires: numbers against limits, nothing about telling.

A verdict is True (it fires), False (it does not), or absent: the observation says nothing about that rule.
"""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass, field

from pydantic import JsonValue

from loquela.monitoring.alerts.memory import AlertMemory
from loquela.monitoring.alerts.observation import Observation
from loquela.monitoring.alerts.rules import AlertRules, RuleName

# How much more room than the limit ends a low disk, so that it does not come and go.
MORE_ROOM = 1.1
# These are about a run that is at work; its end ends them.
OF_A_WORKING_RUN: tuple[RuleName, ...] = (
    "loss_spike",
    "gradient_norm",
    "nan",
    "validation_regression",
    "stalled",
    "lease_flapping",
    "disk_low",
)


NOT_AT_WORK = "the run is not at work any more"
# What an observation says about whether somebody works on the run.
AT_WORK = {"began": True, "alive": True, "waits": False, "lease_lost": False, "ended": False}


@dataclass(frozen=True)
class Verdict:
    """What an observation says about a rule; `at_once`: it ends without waiting for calm."""

    fires: bool
    facts: dict[str, JsonValue] = field(default_factory=dict)
    at_once: bool = False


Verdicts = dict[RuleName, Verdict]


def detect(rules: AlertRules, memory: AlertMemory, seen: Observation, now: float) -> Verdicts:
    """The verdicts on `seen`; what must be remembered of it is put into `memory`."""
    memory.active = AT_WORK.get(seen.kind, memory.active)
    verdicts = _of_time(rules, memory, seen, now)
    if seen.kind == "began":
        verdicts["failed"] = Verdict(False, {"because": "it goes on"}, at_once=True)
    elif seen.kind == "step":
        verdicts |= _of_step(rules, memory, seen)
    elif seen.kind == "validated":
        verdicts |= _of_validation(rules, memory, seen)
    elif seen.kind == "ended":
        verdicts |= _of_end(memory, seen)
    elif seen.kind == "deployment_checked":
        verdicts["deployment_check_failed"] = Verdict(seen.passed is False)
    elif seen.kind == "disk":
        verdicts |= _of_disk(rules, seen)
    return verdicts


def _of_time(rules: AlertRules, memory: AlertMemory, seen: Observation, now: float) -> Verdicts:
    """Progress and lost workers, which time alone can change."""
    verdicts: Verdicts = {}
    if seen.kind == "lease_lost":
        memory.lost_leases = [*memory.lost_leases, now]
    window = rules.lease_flapping.window_seconds
    memory.lost_leases = [at for at in memory.lost_leases if abs(now - at) < window]
    lost = len(memory.lost_leases)
    verdicts["lease_flapping"] = Verdict(
        lost >= rules.lease_flapping.losses, {"lost": lost, "window_seconds": window}, at_once=True
    )
    if seen.kind not in ("tick", "disk"):
        memory.moved_at = min(now, seen.moved_at) if seen.moved_at is not None else now
    if not memory.active or memory.moved_at is None:
        verdicts["stalled"] = Verdict(False, {"because": NOT_AT_WORK}, at_once=True)
        return verdicts
    # A clock that was set back must not make a run look busy for as long.
    memory.moved_at = min(memory.moved_at, now)
    silent = now - memory.moved_at
    verdicts["stalled"] = Verdict(silent > rules.stalled.seconds, {"silent_seconds": round(silent)}, at_once=True)
    return verdicts


def _of_step(rules: AlertRules, memory: AlertMemory, seen: Observation) -> Verdicts:
    verdicts: Verdicts = {}
    told: dict[str, JsonValue] = {"step": seen.step}
    numbers = {"loss": seen.loss, "gradient_norm": seen.gradient_norm}
    odd = [name for name, value in numbers.items() if value is not None and not math.isfinite(value)]
    if odd or seen.skipped:
        verdicts["nan"] = Verdict(True, told | {"not_finite": ", ".join(odd) or "a skipped step"})
    elif any(value is not None for value in numbers.values()):
        verdicts["nan"] = Verdict(False)
    if seen.gradient_norm is not None and math.isfinite(seen.gradient_norm):
        over = rules.gradient_norm.over
        facts = told | {"gradient_norm": seen.gradient_norm, "limit": over}
        verdicts["gradient_norm"] = Verdict(seen.gradient_norm > over, facts)
    if seen.loss is not None and math.isfinite(seen.loss):
        verdicts |= _of_loss(rules, memory, seen.loss, told)
    return verdicts


def _of_loss(rules: AlertRules, memory: AlertMemory, loss: float, told: dict[str, JsonValue]) -> Verdicts:
    """A loss over the limit does not enter the median: one that stays high must not become the new normal."""
    rule = rules.loss_spike
    median = statistics.median(memory.losses) if len(memory.losses) >= rule.least else 0.0
    spikes = median > 0 and loss > rule.factor * median
    if not spikes:
        memory.losses = [*memory.losses, loss][-rule.window :]
    if median <= 0:
        return {}
    return {"loss_spike": Verdict(spikes, told | {"loss": loss, "median": median, "factor": rule.factor})}


def _of_validation(rules: AlertRules, memory: AlertMemory, seen: Observation) -> Verdicts:
    if seen.loss is None:
        return {}
    if not math.isfinite(seen.loss):
        return {"nan": Verdict(True, {"step": seen.step, "not_finite": "validation loss"})}
    best = memory.best_validation
    memory.best_validation = seen.loss if best is None else min(best, seen.loss)
    if best is None:
        return {}
    fraction = rules.validation_regression.fraction
    facts: dict[str, JsonValue] = {"step": seen.step, "validation_loss": seen.loss, "best": best, "fraction": fraction}
    return {"validation_regression": Verdict(seen.loss > best + fraction * abs(best), facts, at_once=True)}


def _of_end(memory: AlertMemory, seen: Observation) -> Verdicts:
    memory.lost_leases = []
    over: dict[str, JsonValue] = {"because": NOT_AT_WORK}
    verdicts: Verdicts = {name: Verdict(False, over, at_once=True) for name in OF_A_WORKING_RUN}
    if seen.outcome == "failed":
        verdicts["failed"] = Verdict(True, {"code": seen.code})
    if seen.outcome == "finished":
        verdicts["failed"] = Verdict(False, {"because": "it finished"}, at_once=True)
        verdicts["finished"] = Verdict(True)
    return verdicts


def _of_disk(rules: AlertRules, seen: Observation) -> Verdicts:
    if seen.free_bytes is None:
        return {}
    limit = rules.disk_low.free_gb * 1e9
    facts: dict[str, JsonValue] = {"free_gb": round(seen.free_bytes / 1e9, 2), "limit_gb": rules.disk_low.free_gb}
    if seen.free_bytes < limit:
        return {"disk_low": Verdict(True, facts)}
    return {"disk_low": Verdict(False, facts)} if seen.free_bytes >= limit * MORE_ROOM else {}
