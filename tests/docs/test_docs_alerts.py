"""What the page on alerts says is so: its file is read, its rules are those there are, its check works."""

from __future__ import annotations

import base64
import re
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from channel_servers import HttpServer
from loquela.channels.post import Poster
from loquela.channels.webhook import Webhook
from loquela.monitoring.alerts.channel_settings import CHANNEL_KINDS
from loquela.monitoring.alerts.policy import AlertPolicy
from loquela.monitoring.alerts.rules import RULE_NAMES, AlertRules
from loquela.monitoring.alerts.trial import trial

PAGE = (Path(__file__).parents[2] / "docs" / "alerts.md").read_text(encoding="utf-8")


def block(language: str) -> str:
    found = re.search(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)
    assert found
    return found[1]


def test_the_file_is_read_and_has_every_kind_of_channel() -> None:
    policy = AlertPolicy.model_validate(tomllib.loads(block("toml")))
    assert {channel.kind for channel in policy.channels} == {*CHANNEL_KINDS}
    assert (policy.rules.loss_spike.factor, policy.rules.gradient_norm.enabled) == (3.0, False)


def test_the_rules_are_those_there_are() -> None:
    rows = re.findall(r"^\| `(\w+)` \|.*\| (\w+) \|$", PAGE, re.MULTILINE)
    rules = AlertRules()
    assert rows == [(name, rules.rule(name).severity) for name in RULE_NAMES]
    numbers = {"2) times": rules.loss_spike.factor, "(50)": rules.loss_spike.window, "1800 s": rules.stalled.seconds,
               "over 100": rules.gradient_norm.over, "than 2 GB": rules.disk_low.free_gb}  # fmt: skip
    assert all(said in PAGE and f"{number:g}" in said for said, number in numbers.items())
    others = {rules.rule(name).cooldown_seconds for name in RULE_NAMES if name not in ("failed", "finished")}
    assert (others, rules.failed.cooldown_seconds, rules.finished.cooldown_seconds) == ({1800.0}, 60.0, 60.0)


@pytest.mark.parametrize("secret", ["shared", "whsec_" + base64.b64encode(b"raw").decode()])
def test_a_signature_is_checked_as_it_says(secret: str) -> None:
    space: dict[str, Callable[[dict[str, str], bytes, str], bool]] = {}
    exec(block("python"), space)  # noqa: S102 - our own page
    server = HttpServer()
    try:
        Webhook(Poster("own", True), server.url, secret).send(trial("loquela", 1.0))
        Webhook(Poster("own", True), server.url, secret, clock=lambda: 1.0).send(trial("loquela", 1.0))
    finally:
        server.close()
    (_, headers, body), (_, old_headers, old_body) = server.got
    assert space["genuine"](headers, body, secret)
    assert not space["genuine"](headers, body + b" ", secret)
    assert not space["genuine"](headers, body, "another")
    assert not space["genuine"]({**headers, "webhook-id": "x"}, body, secret)
    assert not space["genuine"](old_headers, old_body, secret)
