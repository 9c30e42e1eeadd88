"""From what was seen to what is told: a function of rules, memory, observation and time, and of nothing else."""

from __future__ import annotations

from dataclasses import dataclass

from loquela.monitoring.alerts.detection import Verdict, detect
from loquela.monitoring.alerts.memory import AlertMemory, RuleMemory
from loquela.monitoring.alerts.notification import Action, Notification, alert_id
from loquela.monitoring.alerts.observation import Observation
from loquela.monitoring.alerts.rules import RULE_NAMES, AlertRules, RuleName
from loquela.monitoring.alerts.texts import text_of, title_of

# Told once: nothing of it goes on.
ONCE: tuple[RuleName, ...] = ("finished",)


@dataclass(frozen=True)
class Decision:
    """What is remembered from now on, and what is told now, in this order."""

    memory: AlertMemory
    notifications: list[Notification]


def decide(rules: AlertRules, memory: AlertMemory, seen: Observation, subject: str, now: float) -> Decision:
    """What `seen` means at `now` (seconds since 1970).

    A rule is told once for as long as it fires, and not again within its cool-down; one that is still firing when the
    cool-down ends is told then. Its end is told where its beginning was. `memory` itself stays as it is.
    """
    after = memory.model_copy(deep=True)
    verdicts = detect(rules, after, seen, now)
    told: list[Notification] = []
    for name in RULE_NAMES:
        rule = rules.rule(name)
        known = after.rules.get(name)
        verdict = verdicts.get(name) if rule.enabled else Verdict(False, {"because": "it is off"}, at_once=True)
        if known is None:
            if verdict is None or not verdict.fires:
                continue
            known = RuleMemory()
            after.rules = {**after.rules, name: known}
        if verdict is not None:
            calm: int = getattr(rule, "calm", 1)
            if _take(known, verdict, calm, now):
                told.append(_notification(rules, name, known, "resolve", subject, now))
                known.told = False
        if known.firing and _may_tell(known, rule.cooldown_seconds, now):
            _note_told(known, f"{subject}:{name}", now)
            told.append(_notification(rules, name, known, "trigger", subject, now))
        if name in ONCE:
            known.firing, known.told = False, False
    return Decision(after, told)


def _take(known: RuleMemory, verdict: Verdict, calm: int, now: float) -> bool:
    """Bring a rule to what was seen of it; whether its end must be told."""
    if verdict.fires:
        known.calm = 0
        known.facts = verdict.facts
        if not known.firing:
            known.firing, known.since = True, now
            known.suppressed += 1
        return False
    if not known.firing:
        return False
    known.calm += 1
    if known.calm < calm and not verdict.at_once:
        return False
    known.firing, known.calm = False, 0
    known.facts = {**known.facts, **verdict.facts}
    return known.told


def _may_tell(known: RuleMemory, cooldown_seconds: float, now: float) -> bool:
    if known.told:
        return False
    if known.told_at is None:
        return True
    # After a clock was set back, the cool-down counts from there, not from a time to come.
    known.told_at = min(known.told_at, now)
    return now - known.told_at >= cooldown_seconds


def _note_told(known: RuleMemory, dedup_key: str, now: float) -> None:
    known.told, known.told_at = True, now
    known.times_told += 1
    known.facts = {**known.facts, "times_unsaid": known.suppressed - 1} if known.suppressed > 1 else known.facts
    known.suppressed = 0
    known.alert_id = alert_id(dedup_key, known.times_told, now)


def _notification(
    rules: AlertRules, name: RuleName, known: RuleMemory, action: Action, subject: str, now: float
) -> Notification:
    dedup_key = f"{subject}:{name}"
    return Notification(
        alert_id=known.alert_id or alert_id(dedup_key, known.times_told, now),
        action=action,
        rule=name,
        severity=rules.rule(name).severity,
        subject=subject,
        dedup_key=dedup_key,
        title=title_of(name, action, subject),
        text=text_of(name, action, known.facts, since=known.since, now=now),
        at=now,
        facts=known.facts,
    )
