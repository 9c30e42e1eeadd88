"""`loquela alerts`: the rules in force, a message to try the channels with, and what a run has told."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from loquela.cli.options import json_option, output_directory_option
from loquela.cli.output import emit_json, table
from loquela.cli.remote.service import required_service, service_in_use
from loquela.cli.where import ServedGroup

if TYPE_CHECKING:
    from pydantic import JsonValue

    from loquela.monitoring.alerts.policy import AlertPolicy
    from loquela.runs.alerting.log import Delivered

NOT_TOLD = 4

recipe_option = click.option(
    "--recipe",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    metavar="FILE",
    help="Of runs of this recipe: its section alerts over your own file.",
)
file_option = click.option(
    "--file",
    "policy_file",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    metavar="FILE",
    help="This TOML file alone, such as the alerts_file of a service.",
)


@click.group("alerts", cls=ServedGroup, epilog="\b\nExample:\n  loquela alerts test\n  loquela alerts list latest")
def command() -> None:
    """Show who is told what goes wrong in a run, try it, and see what was told.

    Channels and rules stand in a recipe's section alerts, or in your own file for all runs: alerts.toml in your
    configuration folder, or the one that LOQUELA_ALERTS_FILE names. Without either nothing is sent.
    """


@command.command("rules", epilog="\b\nExample:\n  loquela alerts rules --recipe recipes/demo.yaml")
@recipe_option
@file_option
@json_option
def rules_command(recipe: Path | None, policy_file: Path | None, as_json: bool) -> None:
    """Show every rule with its numbers, and the channels."""
    policy = _policy(recipe, policy_file)
    if as_json:
        emit_json(policy.model_dump(mode="json"))
        return
    table(("rule", "severity", "told again after", "when"), _rule_rows(policy), title="rules")
    if not policy.channels:
        click.echo("no channel: nothing is sent")
        return
    channels = [
        (one.name, one.kind, f"{one.from_severity} and worse", ", ".join(one.rules or ["all"]))
        for one in policy.channels
    ]
    table(("channel", "kind", "gets", "rules"), channels, title="channels")
    if policy.quiet_hours is not None:
        hours = policy.quiet_hours
        click.echo(f"quiet from {hours.start} to {hours.end}, {hours.time_zone}: only critical alerts are told then")


@command.command("test", epilog="\b\nExample:\n  loquela alerts test --channel team")
@click.option("--channel", metavar="NAME", help="Only this one.")
@recipe_option
@file_option
@json_option
def test_command(channel: str | None, recipe: Path | None, policy_file: Path | None, as_json: bool) -> int:
    """Send a message to every channel, once, and say what became of it.

    Exit code 4 when somebody could not be told. With --server, the channels of the service are tried.
    """
    client = service_in_use("recipe", "policy_file")
    if client is not None:
        from loquela.cli.remote.watching import try_channels

        return 0 if try_channels(client, channel, as_json=as_json) else NOT_TOLD
    policy = _policy(recipe, policy_file)
    results = [_tried(policy, name) for name in _chosen(policy, channel)]
    if as_json:
        emit_json({"channels": [*results]})
    for result in () if as_json else results:
        click.echo(f"{'✔' if result['sent'] else '✘'} {result['channel']} ({result['kind']}){_why(result)}")
    return 0 if all(result["sent"] for result in results) else NOT_TOLD


@command.command("list", epilog="\b\nExample:\n  loquela alerts list latest --json")
@click.argument("run", metavar="[RUN]", required=False)
@output_directory_option
@json_option
def list_command(run: str | None, output_directory: Path, as_json: bool) -> None:
    """Show what a run has told, and what became of each message.

    RUN is an id, the beginning of one, a path, or latest. With --server and without RUN, all that the service has told.
    """
    client = service_in_use()
    if client is not None:
        from loquela.cli.remote.watching import list_deliveries

        list_deliveries(client, run, as_json=as_json)
        return
    if run is None:
        raise click.UsageError("name a RUN: its id, the beginning of one, a path, or latest")
    from loquela.runs.alerting.log import read_delivered
    from loquela.runs.store import RunStore

    found = read_delivered(RunStore(output_directory).open(run))
    if as_json:
        emit_json({"alerts": [delivered.model_dump(mode="json") for delivered in found]})
    elif found:
        table(("time (UTC)", "severity", "what", "channel", "outcome"), [_delivery_row(one) for one in found])
    else:
        click.echo("nothing was told of this run")


@command.command("firing", epilog="\b\nExample:\n  loquela --server http://127.0.0.1:8040 alerts firing")
@json_option
def firing_command(as_json: bool) -> None:
    """Show what is wrong now at a service, and which channels are told."""
    client = required_service("firing is", "here loquela alerts list RUN shows what a run has told")
    from loquela.cli.remote.watching import show_firing

    show_firing(client, as_json=as_json)


def _policy(recipe: Path | None, policy_file: Path | None) -> AlertPolicy:
    from loquela.monitoring.alerts.policy import AlertPolicy
    from loquela.monitoring.alerts.policy_file import load_policy
    from loquela.runs.alerting.policy import policy_of, user_file

    if recipe is not None and policy_file is not None:
        raise click.UsageError("give --recipe or --file, not both")
    if recipe is not None:
        from loquela.cli.options import load

        return policy_of(load(recipe, ()).recipe) or AlertPolicy()
    place = policy_file or user_file()
    return AlertPolicy() if place is None else load_policy(place)


def _chosen(policy: AlertPolicy, channel: str | None) -> list[str]:
    from loquela.core.errors import ErrorCode, RecipeError
    from loquela.core.near_names import unknown_name

    names = [one.name for one in policy.channels]
    if not names:
        raise RecipeError(
            ErrorCode.CONFIG_INVALID,
            "there is no alert channel to try",
            "write one into alerts.toml of your configuration folder, or name a file: --recipe FILE, --file FILE",
        )
    if channel is not None and channel not in names:
        raise RecipeError(
            ErrorCode.CONFIG_INVALID, unknown_name("alert channel", channel, names), "loquela alerts rules lists them"
        )
    return names if channel is None else [channel]


def _tried(policy: AlertPolicy, name: str) -> dict[str, JsonValue]:
    import time

    from loquela.channels.opening import open_channel
    from loquela.core.errors import LoquelaError
    from loquela.monitoring.alerts.trial import trial

    settings = next(one for one in policy.channels if one.name == name)
    result: dict[str, JsonValue] = {"channel": name, "kind": settings.kind, "sent": True, "error": None, "remedy": None}
    try:
        opened = open_channel(settings, allow_private=policy.allow_private_addresses)
        opened.send(trial("loquela", time.time()))
    except LoquelaError as error:
        result |= {"sent": False, "error": error.message, "remedy": error.remedy}
    return result


def _why(result: dict[str, JsonValue]) -> str:
    return "" if result["sent"] else f": {result['error']}\n    to mend it: {result['remedy']}"


def _rule_rows(policy: AlertPolicy) -> list[tuple[str, str, str, str]]:
    from loquela.monitoring.alerts.rules import RULE_NAMES, Rule
    from loquela.monitoring.alerts.texts import TITLES, duration

    rows: list[tuple[str, str, str, str]] = []
    for name in RULE_NAMES:
        rule = policy.rules.rule(name)
        own = {key: value for key, value in rule.model_dump().items() if key not in Rule.model_fields}
        numbers = ", ".join(f"{key} {value:g}" for key, value in own.items())
        when = TITLES[name] + (f" ({numbers})" if numbers else "")
        severity = rule.severity if rule.enabled else "off"
        rows.append((name, severity, duration(rule.cooldown_seconds), when))
    return rows


def _delivery_row(one: Delivered) -> tuple[str, str, str, str, str]:
    told = one.notification
    outcome = f"{one.outcome}: {one.error}" if one.error else one.outcome
    return f"{one.time:%Y-%m-%d %H:%M:%S}", told.severity, f"{told.title}. {told.text}", one.channel or "", outcome
