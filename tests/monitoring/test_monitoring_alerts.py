"""Alerts as decisions: what fires, what is told, what ends, what waits until quiet hours are over."""

from __future__ import annotations

import math
from collections import defaultdict
from datetime import UTC, datetime
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from loquela.core.errors import ErrorCode, ResourceError
from loquela.monitoring.alerts.contracts import AlertingSystemRequest
from loquela.monitoring.alerts.decision import decide
from loquela.monitoring.alerts.memory import AlertMemory
from loquela.monitoring.alerts.notification import Notification
from loquela.monitoring.alerts.observation import Observation
from loquela.monitoring.alerts.of_events import of_job, of_run
from loquela.monitoring.alerts.policy import AlertPolicy
from loquela.monitoring.alerts.quiet_hours import QuietHours
from loquela.monitoring.alerts.routing import held_back, released, wants
from loquela.monitoring.alerts.rules import RULE_NAMES, AlertRules
from loquela.monitoring.alerts.system import AlertingSystem
from loquela.monitoring.events import Event, EventBus

NOW = 1_800_000_000.0


class Told:
    """A subject that is watched, and all that was told of it."""

    def __init__(self, **rules: object) -> None:
        self.rules = AlertRules.model_validate(rules)
        self.memory = AlertMemory()
        self.at = NOW
        self.all: list[Notification] = []

    def see(self, kind: str, *, later: float = 1.0, **fields: object) -> list[tuple[str, str]]:
        self.at += later
        seen = Observation.model_validate({"kind": kind, **fields})
        decision = decide(self.rules, self.memory, seen, "my-run", self.at)
        # What is remembered must survive the process.
        self.memory = AlertMemory.model_validate_json(decision.memory.model_dump_json())
        self.all += decision.notifications
        return [(one.rule, one.action) for one in decision.notifications]

    def losses(self, *losses: float) -> list[tuple[str, str]]:
        return [told for loss in losses for told in self.see("step", loss=loss, step=7)]


def test_a_loss_spike_is_told_once_and_its_end_too() -> None:
    told = Told()
    assert told.losses(*[2.0] * 9, 9.0) == []  # too few to say what is usual; the 9 counts as one of them
    assert told.losses(2.0, 2.0) == []
    assert told.losses(4.1, 8.0, 8.0) == [("loss_spike", "trigger")]
    assert told.losses(2.0, 2.0, 8.0, 2.0, 2.0, 2.0, 2.0) == []  # not calm for five in a row
    assert told.losses(2.0) == [("loss_spike", "resolve")]
    begin, end = told.all
    assert begin.text == "At step 7 the loss is 4.1, more than 2 times the median 2."
    assert (begin.alert_id, begin.dedup_key) == (end.alert_id, "my-run:loss_spike")
    assert end.title == "my-run: over: the loss jumped"
    assert begin.id != end.id


def test_a_loss_that_stays_high_is_no_new_normal() -> None:
    told = Told()
    told.losses(*[2.0] * 10)
    assert told.losses(*[9.0] * 200) == [("loss_spike", "trigger")]


def test_a_loss_below_zero_has_no_factor() -> None:
    told = Told()
    assert told.losses(*[-1.0] * 20, 5.0) == []


def test_gradient_norms_and_numbers_that_are_none() -> None:
    told = Told(gradient_norm={"over": 10.0, "calm": 2}, nan={"calm": 2})
    assert told.see("step", gradient_norm=11.0) == [("gradient_norm", "trigger")]
    assert told.see("step", gradient_norm=math.inf, loss=1.0) == [("nan", "trigger")]
    assert told.see("step", loss=math.nan) == []
    assert told.see("step", skipped=True) == []
    assert told.see("step", gradient_norm=1.0) == []
    assert told.see("step", gradient_norm=1.0) == [("gradient_norm", "resolve"), ("nan", "resolve")]
    assert [one.severity for one in told.all] == ["warning", "critical", "warning", "critical"]
    assert "gradient_norm is not finite" in told.all[1].text


def test_a_validation_loss_is_held_against_the_best() -> None:
    told = Told()
    assert told.see("validated", loss=2.0) == []
    assert told.see("validated", loss=2.19) == []
    assert told.see("validated", loss=2.21, step=40) == [("validation_regression", "trigger")]
    assert told.see("validated", loss=math.nan) == [("nan", "trigger")]
    assert told.see("validated", loss=1.9) == [("validation_regression", "resolve")]
    assert told.all[0].facts["best"] == 2.0


def test_a_run_that_is_silent_stalls_and_one_that_waits_does_not() -> None:
    told = Told(stalled={"seconds": 100, "cooldown_seconds": 0})
    assert told.see("tick", later=500) == []
    told.see("began")
    assert told.see("tick", later=99) == []
    assert told.see("tick", later=2) == [("stalled", "trigger")]
    assert told.see("moved") == [("stalled", "resolve")]
    told.see("waits")
    assert told.see("tick", later=5000) == []
    # A worker holds it again, which last moved long ago.
    assert told.see("alive", moved_at=told.at - 200) == [("stalled", "trigger")]
    assert told.see("ended", outcome="stopped") == [("stalled", "resolve")]
    assert told.see("moved") == []
    assert told.see("tick", later=5000) == []
    assert "because" in told.all[-1].facts


def test_an_end_is_told_and_a_failure_ends_when_the_run_goes_on() -> None:
    told = Told()
    told.see("began")
    told.see("step", skipped=True)
    assert told.see("ended", outcome="failed", code="NAN_LOSS") == [("nan", "resolve"), ("failed", "trigger")]
    assert told.all[-1].text == "It ended with the error NAN_LOSS. Look at it: loquela runs show."
    assert told.see("began") == [("failed", "resolve")]
    assert told.see("ended", outcome="finished") == [("finished", "trigger")]
    assert told.memory.firing == []


def test_lost_workers_low_disks_and_failed_checks() -> None:
    told = Told(lease_flapping={"losses": 2, "window_seconds": 60}, disk_low={"free_gb": 1})
    assert told.see("lease_lost") == []
    assert told.see("lease_lost") == [("lease_flapping", "trigger")]
    assert told.see("tick", later=59) == [("lease_flapping", "resolve")]
    assert told.see("disk", free_bytes=999_999_999) == [("disk_low", "trigger")]
    assert told.see("disk", free_bytes=1_050_000_000) == []
    assert told.see("disk", free_bytes=1_100_000_000) == [("disk_low", "resolve")]
    assert told.see("deployment_checked", passed=False) == [("deployment_check_failed", "trigger")]
    assert told.see("ended", outcome="failed", code="INFERENCE_FAILED") == [("failed", "trigger")]
    assert told.see("deployment_checked", passed=True) == [("deployment_check_failed", "resolve")]


def test_the_cool_down_and_what_was_left_unsaid() -> None:
    told = Told(gradient_norm={"over": 1, "calm": 1, "cooldown_seconds": 100})
    assert told.see("step", gradient_norm=2.0) == [("gradient_norm", "trigger")]
    assert told.see("step", gradient_norm=0.5) == [("gradient_norm", "resolve")]
    for _ in range(3):
        assert told.see("step", gradient_norm=2.0) == []
        assert told.see("step", gradient_norm=0.5) == []  # nobody was told, so no end either
    assert told.see("step", gradient_norm=2.0) == []
    assert told.see("tick", later=100) == [("gradient_norm", "trigger")]
    assert told.all[-1].text.endswith("It had come and gone 3 times since it was last told.")
    # A clock that is set back counts the cool-down from there.
    assert told.see("step", gradient_norm=0.5) == [("gradient_norm", "resolve")]
    assert told.see("step", gradient_norm=2.0, later=-10_000) == []
    assert told.see("tick", later=99) == []
    assert told.see("tick", later=1) == [("gradient_norm", "trigger")]


def test_a_rule_that_is_off_says_nothing_and_ends_what_it_said() -> None:
    told = Told()
    assert told.see("step", skipped=True) == [("nan", "trigger")]
    told.rules.nan.enabled = False
    assert told.see("tick") == [("nan", "resolve")]
    assert told.see("step", skipped=True) == []


def test_events_are_understood() -> None:
    step = of_run("trainer.metrics.progress.v1", {"step": 3, "loss": 1.5, "gradient_norm": math.inf, "eta_seconds": 9})
    assert (step.kind, step.step, step.loss, step.gradient_norm) == ("step", 3, 1.5, math.inf)
    assert of_run("training_orchestrator.batch_skipped.v1", {"step": 3, "reason": "loss"}).skipped
    assert of_run("training_orchestrator.validated.v1", {"step": 3, "validation_loss": 2.5}).loss == 2.5
    assert of_run("pipeline.failed.v1", {"code": "OOM", "message": "in /home/me"}).code == "OOM"
    assert of_run("pipeline.failed.v1", {"code": "see /home/me"}).code is None
    assert of_run("deployment_validator.validation_complete.v1", {"passed": False}).passed is False
    assert of_run("pipeline.completed.v1", {}).outcome == "finished"
    assert of_run("notice.v1", {}).kind == "moved"
    assert of_job("job.failed.v1", {"reason": "oom"}, None).code == "oom"
    assert of_job("job.failed.v1", {"reason": "internal"}, "OOM").code == "OOM"
    assert of_job("job.interrupted.v1", {"reason": "lost_lease"}, None).kind == "lease_lost"
    assert of_job("job.interrupted.v1", {"reason": "worker_shutdown"}, None).kind == "waits"
    assert of_job("job.cancelling.v1", {}, None).kind == "moved"


# ── properties ────────────────────────────────────────────────────────────────────────────────────────

NUMBERS = st.one_of(st.none(), st.floats(-5, 50), st.sampled_from([math.nan, math.inf]))
SEEN = st.one_of(
    st.builds(Observation, kind=st.just("step"), step=st.integers(0, 99), loss=NUMBERS, gradient_norm=NUMBERS),
    st.builds(Observation, kind=st.just("validated"), loss=st.floats(0.1, 9)),
    st.builds(Observation, kind=st.just("ended"), outcome=st.sampled_from(["finished", "failed", "stopped"])),
    st.builds(Observation, kind=st.just("disk"), free_bytes=st.integers(0, 4 * 10**9)),
    st.builds(Observation, kind=st.just("deployment_checked"), passed=st.booleans()),
    st.builds(Observation, kind=st.sampled_from(["began", "moved", "alive", "waits", "lease_lost", "tick", "tick"])),
)
STORY = st.lists(st.tuples(st.floats(0, 400), SEEN), max_size=60)
RULES = AlertRules.model_validate(
    {"stalled": {"seconds": 200}, "gradient_norm": {"over": 20, "calm": 1}, "loss_spike": {"least": 2, "window": 5}}
    | {"nan": {"calm": 2, "cooldown_seconds": 500}, "failed": {"cooldown_seconds": 150}}
)


def lived(story: list[tuple[float, Observation]]) -> list[tuple[float, Notification]]:
    memory, now, told = AlertMemory(), NOW, []
    for pause, seen in story:
        now += pause
        before = memory.model_copy(deep=True)
        decision = decide(RULES, memory, seen, "run", now)
        assert memory == before
        again = decide(RULES, memory, seen, "run", now)
        assert (again.memory, again.notifications) == (decision.memory, decision.notifications)
        memory = decision.memory
        told += [(now, one) for one in decision.notifications]
    return told


@settings(max_examples=150, deadline=None)
@given(STORY)
def test_never_twice_in_a_cool_down_and_an_end_only_after_a_beginning(story) -> None:
    last: dict[str, Notification] = {}
    told_at: dict[str, list[float]] = defaultdict(list)
    ids = []
    for now, one in lived(story):
        ids.append(one.id)
        if one.action == "resolve":
            assert last[one.rule].action == "trigger"
            assert last[one.rule].alert_id == one.alert_id
            assert one.rule != "finished"
        else:
            assert one.rule == "finished" or one.rule not in last or last[one.rule].action == "resolve"
            told_at[one.rule].append(now)
        last[one.rule] = one
    for rule, times in told_at.items():
        cooldown = RULES.rule(rule).cooldown_seconds
        assert all(later - earlier >= cooldown for earlier, later in pairwise(times)), rule
    assert len({*ids}) == len(ids)


@settings(max_examples=100, deadline=None)
@given(STORY, st.integers(0, 23), st.integers(1, 23))
def test_quiet_hours_hold_back_and_then_sum_up(story, start: int, hours: int) -> None:
    quiet = QuietHours(start=f"{start:02}:00", end=f"{(start + hours) % 24:02}:00", time_zone="Europe/Berlin")
    held: list[Notification] = []
    for now, one in lived(story):
        if held_back(quiet, one, now):
            assert quiet.quiet_at(now)
            assert one.severity != "critical"
            held.append(one)
        else:
            assert one.severity == "critical" or not quiet.quiet_at(now)
    summary = released("email", held, NOW + 1e6)
    assert len(summary) == min(1, len(held))
    if len(held) > 1:
        assert summary[0].action == "summary"
        assert summary[0].facts == {"alerts": len(held)}
        assert summary[0].text.count("\n") + 1 == min(len(held), 31)
        assert summary == released("email", held, NOW + 1e6)
    for one in released("pagerduty", held, NOW + 1e6):
        same = [other for other in held if other.dedup_key == one.dedup_key]
        # An incident that was open before and ended; or one that began and goes on.
        assert (one is same[0] and one.action == "resolve") or (one is same[-1] and one.action == "trigger")


def test_quiet_hours_are_those_of_their_zone() -> None:
    berlin = QuietHours(start="22:00", end="07:00", time_zone="Europe/Berlin")
    at = datetime(2026, 7, 1, 20, 30, tzinfo=UTC).timestamp()  # 22:30 there, in summer
    assert berlin.quiet_at(at)
    assert not berlin.quiet_at(at - 3600)
    assert berlin.quiet_at(datetime(2026, 1, 1, 5, 59, tzinfo=UTC).timestamp())
    assert not berlin.quiet_at(datetime(2026, 1, 1, 6, 0, tzinfo=UTC).timestamp())
    assert QuietHours(start="01:00", end="02:00", time_zone="UTC").quiet_at(
        datetime(2026, 1, 1, 1, 30, tzinfo=UTC).timestamp()
    )


MAIL = {"name": "m", "kind": "email", "host": "h", "sender": "a@b.org", "to": ["c@d.org"]}
WEBHOOK = {"name": "a", "kind": "webhook", "credential": "s"}


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ({"quiet_hours": {"start": "22:00", "end": "22:00", "time_zone": "UTC"}}, "the same minute"),
        ({"quiet_hours": {"start": "22:00", "end": "07:00", "time_zone": "Europe/Berlinn"}}, "is no time zone that"),
        ({"quiet_hours": {"start": "22:00", "end": "07:00", "time_zone": "../../etc/passwd"}}, "is no time zone that"),
        ({"quiet_hours": {"start": "10pm", "end": "07:00", "time_zone": "UTC"}}, "should match pattern"),
        ({"rules": {"loss_spike": {"faktor": 2}}}, "Extra inputs"),
        ({"channels": [{"name": "a", "kind": "slack", "credential": "s"}] * 2}, "two channels are called 'a'"),
        ({"channels": [{"name": "a", "kind": "slack", "url": "https://x"}]}, "credential"),
        (
            {"channels": [WEBHOOK | {"url": "https://u:p@x.org/"}]},
            "an address with a password or a query would be",
        ),
        ({"channels": [WEBHOOK | {"url": "ftp://x"}]}, "an address begins with"),
        (
            {"channels": [MAIL | {"to": ["c@d.org\nBcc: e@f.org"]}]},
            "should match pattern",
        ),
        (
            {"channels": [MAIL | {"security": "none", "credential": "s"}]},
            "security: none would send the password in clear",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_meant_is_refused(written, said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        AlertPolicy.model_validate(written)


def test_every_rule_has_a_section_of_its_own_name() -> None:
    assert tuple(AlertRules.model_fields) == RULE_NAMES
    assert all(AlertRules().rule(name).enabled for name in RULE_NAMES)


def test_a_policy_over_another() -> None:
    slack = {"name": "team", "kind": "slack", "credential": "team-slack"}
    mine = AlertPolicy.model_validate({"channels": [slack], "allow_private_addresses": True})
    other = {"channels": [slack | {"credential": "other"}], "rules": {"nan": {"enabled": False}}}
    both = AlertPolicy.model_validate(other).over(mine)
    assert [channel.credential for channel in both.channels] == ["other"]
    assert (both.rules.nan.enabled, both.allow_private_addresses) == (False, True)
    assert mine.over(AlertPolicy.model_validate(other)).rules.nan.enabled is False


# ── the component ─────────────────────────────────────────────────────────────────────────────────────

CHANNELS = [
    {"name": "team", "kind": "slack", "credential": "s"},
    {"name": "duty", "kind": "pagerduty", "credential": "p"},
    {"name": "only-ends", "kind": "webhook", "credential": "w", "url": "https://x.org", "rules": ["finished"]},
]


def test_the_component_checks_thresholds_tells_and_traces() -> None:
    heard: list[Event] = []
    bus = EventBus()
    bus.subscribe(heard.append)
    system = AlertingSystem(AlertPolicy.model_validate({"channels": CHANNELS}), "run", bus=bus)
    sent: list[tuple[str, str]] = []

    def send(channel, notification) -> None:
        sent.append((channel.name, notification.rule))

    def ask(**metrics: object):
        thresholds = {"loss_spike_factor": 3.0, "gradient_norm_max": 5.0}
        request = {"metrics": metrics, "thresholds": thresholds, "alert_channels": ["slack", "pagerduty", "webhook"]}
        return system.check(AlertingSystemRequest.model_validate(request), send, NOW)

    for step in range(10):
        assert not ask(step=step, loss=1.0, gradient_norm=4.0).alert_triggered
    assert ask(loss=2.9).alert_id is None
    found = ask(step=11, loss=3.1, gradient_norm=6.0)
    assert (found.alert_triggered, found.severity) == (True, "warning")
    assert sent == [
        ("team", "loss_spike"),
        ("duty", "loss_spike"),
        ("team", "gradient_norm"),
        ("duty", "gradient_norm"),
    ]
    assert ask(validation_loss=math.nan).severity == "critical"
    names = {event.name for event in heard}
    assert names == {"alerting_system.threshold_check.v1", "alerting_system.alert_sent.v1"}


def test_a_channel_that_fails_is_told_after_the_others_were() -> None:
    system = AlertingSystem(AlertPolicy.model_validate({"channels": CHANNELS}), "run")
    reached = []

    def send(channel, notification) -> None:
        if channel.name == "team":
            raise ResourceError(ErrorCode.NOTIFICATION_FAILED, "nobody answers", "see", details={"channel": "team"})
        reached.append(channel.name)

    request = AlertingSystemRequest(metrics={"loss": math.inf}, alert_channels=["slack", "pagerduty"])
    with pytest.raises(ResourceError, match="nobody answers"):
        system.check(request, send, NOW)
    assert reached == ["duty"]
    assert not system.check(request, send, NOW).alert_triggered


def test_channels_take_what_is_meant_for_them() -> None:
    slack, duty, ends = AlertPolicy.model_validate({"channels": CHANNELS}).channels
    told = Told()
    told.see("ended", outcome="finished")
    finished = told.all[-1]
    assert [wants(channel, finished) for channel in (slack, duty, ends)] == [True, False, True]
    test = finished.model_copy(update={"action": "test", "rule": "test"})
    assert all(wants(channel, test) for channel in (slack, duty, ends))
