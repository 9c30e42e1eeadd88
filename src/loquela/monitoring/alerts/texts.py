"""The words of alerts: names of runs, rules, numbers and codes; nothing that a run read, and no place on a machine."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import JsonValue

from loquela.monitoring.alerts.notification import Action
from loquela.monitoring.alerts.rules import RuleName

TITLES: dict[RuleName, str] = {
    "loss_spike": "the loss jumped",
    "gradient_norm": "the gradient norm is over its limit",
    "nan": "a number is no number any more",
    "validation_regression": "the validation loss got worse",
    "stalled": "no progress",
    "failed": "it failed",
    "finished": "it finished",
    "disk_low": "little disk is left",
    "lease_flapping": "it loses its worker again and again",
    "deployment_check_failed": "an export failed its deployment check",
}


def title_of(name: RuleName, action: Action, subject: str) -> str:
    """One line; an end says so."""
    return f"{subject}: over: {TITLES[name]}" if action == "resolve" else f"{subject}: {TITLES[name]}"


def text_of(name: RuleName, action: Action, facts: Mapping[str, JsonValue], *, since: float | None, now: float) -> str:
    """A sentence or two with the numbers behind it."""
    if action == "resolve":
        lasted = f" after {duration(now - since)}" if since is not None else ""
        because = facts.get("because")
        return f"It is over{lasted}" + (f": {because}." if because else ".")
    said = _SENTENCES[name].format_map({key: _shown(value) for key, value in facts.items()} | _missing(name, facts))
    unsaid = facts.get("times_unsaid")
    return said + (f" It had come and gone {_shown(unsaid)} times since it was last told." if unsaid else "")


_SENTENCES: dict[RuleName, str] = {
    "loss_spike": "At step {step} the loss is {loss}, more than {factor} times the median {median}.",
    "gradient_norm": "At step {step} the gradient norm is {gradient_norm}; the limit is {limit}.",
    "nan": "At step {step}: {not_finite} is not finite.",
    "validation_regression": "At step {step} the validation loss is {validation_loss}; the best was {best}.",
    "stalled": "It has said nothing for {silent_seconds} s.",
    "failed": "It ended with the error {code}. Look at it: loquela runs show.",
    "finished": "It came to its end.",
    "disk_low": "{free_gb} GB are free; the limit is {limit_gb} GB.",
    "lease_flapping": "It lost its worker {lost} times within {window_seconds} s.",
    "deployment_check_failed": "A requirement of the recipe was not met; the report is in its folder deploy.",
}
_FIELDS = {
    "step", "loss", "factor", "median", "gradient_norm", "limit", "not_finite", "validation_loss", "best",
    "silent_seconds", "code", "free_gb", "limit_gb", "lost", "window_seconds",
}  # fmt: skip


def _missing(name: RuleName, facts: Mapping[str, JsonValue]) -> dict[str, str]:
    return dict.fromkeys(_FIELDS - facts.keys(), "unknown")


def _shown(value: JsonValue) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    return "unknown" if value is None else str(value)


def duration(seconds: float) -> str:
    """Seconds for people: 42 s, 17 min, 3.5 h."""
    seconds = max(0.0, seconds)
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
