"""Where each command works: also at the service that `--server` names, or on this machine only, and why.

One table for all: the help of `--server` is made from it, and what is not in AT_A_SERVICE refuses `--server`.
"""

from __future__ import annotations

import click

AT_A_SERVICE = (
    "validate", "plan", "run", "prepare-data", "prepare-examples", "generate-qa", "train", "resume", "evaluate",
    "generate", "chat", "score", "export", "deploy-check", "promote", "merge-adapter", "verify",
    "runs list", "runs show", "runs diff", "runs logs", "runs watch", "runs cancel", "runs pause",
    "jobs list", "jobs show", "jobs watch", "jobs cancel", "jobs resume",
    "artifacts list", "artifacts download", "alerts list", "alerts firing", "alerts test", "audit list",
)  # fmt: skip

HERE_ONLY = {
    "init": "it writes a recipe here",
    "demo": "it shows this machine at work",
    "launch": "it rents a machine with your own account",
    "data": "it looks into folders of prepared data here",
    "serve": "it starts a service here",
    "worker": "it takes its work from the service's database",
    "artifacts verify": "it reads the store itself: call it where the service's data folder is",
    "artifacts store": "it reads the service's data folder: call it there",
    "artifacts restore": "it writes into the service's data folder: call it there",
    "artifacts clean-up": "it removes from the service's data folder: call it there",
    "alerts rules": "it shows the rules of a file here",
    "audit verify": "it needs the secret in the service's data folder: call it there",
    "keys": "keys are made where the service's data folder is",
    "bot": "its own settings name its service",
    "config": "it works on recipe files here",
    "schema": "it prints what this version knows",
    "credentials": "it keeps secrets here",
    "doctor": "it examines this machine",
}
"""Command → why a service cannot carry it out."""

SERVICE_ONLY = ("runs cancel", "runs pause", "jobs", "artifacts download", "alerts firing")


class ServedGroup(click.Group):
    """A group of which some commands work at a service."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args[0] in self.commands:
            refuse_here_only(ctx, f"{ctx.info_name} {args[0]}")
        return super().resolve_command(ctx, args)


def refuse_here_only(ctx: click.Context, name: str) -> None:
    """UsageError where `--server` is given and the command works on this machine only."""
    if ctx.find_root().params.get("server") is not None and name in HERE_ONLY:
        raise click.UsageError(f"{name} works on this machine only ({HERE_ONLY[name]}): leave --server out", ctx)


def served_commands() -> str:
    """What `--server` carries out, for the help: commands of one group together."""
    groups: dict[str, list[str]] = {}
    for name in AT_A_SERVICE:
        first, _, second = name.partition(" ")
        groups.setdefault(first, []).extend([second] if second else [])
    told = [f"{name} ({', '.join(below)})" if below else name for name, below in groups.items()]
    return ", ".join(told[:-1]) + f" and {told[-1]}"
