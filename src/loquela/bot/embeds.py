"""Runs as Discord shows them. Everything that comes from the service as text passes the redactor."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import discord

from loquela.bot.records import Line
from loquela.bot.redaction import Redactor, coded, escaped
from loquela.bot.words import (
    bar,
    duration,
    loss_words,
    number,
    perplexity_words,
    state_colour,
    state_words,
    whole,
)
from loquela.client.answers import Run
from loquela.core.errors import LoquelaError

PICTURE = "loss.png"
SIGNS = {
    "queued": "⏳",
    "starting": "▶️",
    "running": "▶️",
    "pausing": "⏸️",
    "paused": "⏸️",
    "cancelling": "⏹️",
    "cancelled": "⏹️",
    "interrupted": "🔁",
    "succeeded": "✅",
    "failed": "❌",
}
ERROR_COLOUR = 0xE74C3C
SAID_LENGTH = 400


@dataclass(frozen=True)
class Shown:
    """A run and what is known of it besides. `heading` says what has just happened."""

    run: Run
    lines: Sequence[Line] = ()
    checkpoint: int | None = None
    heading: str = ""


class Embeds:
    """Makes embeds; `redactor` stands between the service's texts and Discord."""

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor

    def run(self, shown: Shown, now: float, *, picture: bool) -> discord.Embed:
        """One run: what it does and why, how far it is, its losses, what happened last."""
        run = shown.run
        title = f"{SIGNS.get(run.state, '•')} {_name(run)}" + (f": {shown.heading}" if shown.heading else "")
        embed = discord.Embed(title=title[:256], colour=state_colour(run.state), description=self._description(run))
        for name, value in _numbers(run, now):
            embed.add_field(name=name, value=value, inline=True)
        if shown.checkpoint is not None:
            embed.add_field(name="Last checkpoint", value=f"step {shown.checkpoint:,}", inline=True)
        if run.labels:
            labels = " · ".join(
                self._redactor.plain(f"{key}: {value}", 60) for key, value in sorted(run.labels.items())
            )
            embed.add_field(name="Labels", value=escaped(labels)[:1024], inline=False)
        if shown.lines:
            told = [f"<t:{round(line.at)}:t> {escaped(line.text)}" for line in reversed(shown.lines)]
            embed.add_field(name="What happened", value="\n".join(told)[:1024], inline=False)
        if picture:
            embed.set_image(url=f"attachment://{PICTURE}")
        embed.set_footer(text=_footer(run, now))
        return embed

    def runs(self, runs: Sequence[Run], watched: Sequence[str]) -> discord.Embed:
        """Several runs, a line each."""
        embed = discord.Embed(title="Runs, newest first", colour=0x3498DB)
        lines = [_line(run, watched=run.run_id in watched) for run in runs]
        embed.description = "\n".join(lines)[:4000] or "There are no runs."
        return embed

    def error(self, error: LoquelaError) -> discord.Embed:
        """What went wrong and what mends it."""
        embed = discord.Embed(
            title="That did not work", colour=ERROR_COLOUR, description=self._redactor.text(error.message, SAID_LENGTH)
        )
        if error.remedy:
            embed.add_field(name="To mend it", value=self._redactor.text(error.remedy, SAID_LENGTH), inline=False)
        embed.set_footer(text=str(error.code))
        return embed

    def _description(self, run: Run) -> str:
        said = [state_words(run.state).capitalize() + "."]
        if run.error is not None:
            said.append(f"{coded(self._redactor.plain(run.error.code, 60))} {self._said(run.error.message)}")
            if run.error.remedy and run.state == "failed":
                said.append(f"To mend it: {self._said(run.error.remedy)}")
        elif run.message:
            said.append(self._said(run.message))
        done, total = whole(run.progress.get("step")), whole(run.progress.get("steps_total"))
        if done is not None and total:
            said.append(bar(total if run.state == "succeeded" else done, total))
        return "\n".join(said)

    def _said(self, text: str) -> str:
        return self._redactor.text(text, SAID_LENGTH)


def _name(run: Run) -> str:
    """Ids have letters, digits, dots, dashes and underscores only; a title escapes none of them but `_`."""
    return run.run_id.replace("_", "\\_")


def _numbers(run: Run, now: float) -> list[tuple[str, str]]:
    progress, found = run.progress, list[tuple[str, str]]()
    loss, held_out = number(progress.get("loss")), number(progress.get("validation_loss"))
    if loss is not None:
        found += [("Loss", loss_words(loss)), ("Perplexity", perplexity_words(loss))]
    if held_out is not None:
        found.append(("Held out", f"{loss_words(held_out)} (perplexity {perplexity_words(held_out)})"))
    step, total = whole(progress.get("step")), whole(progress.get("steps_total"))
    if step is not None:
        found.append(("Step", f"{step:,}" + (f" of {total:,}" if total else "")))
    epoch, epochs = whole(progress.get("epoch")), whole(progress.get("epochs"))
    if epoch is not None:
        found.append(("Epoch", f"{epoch}" + (f" of {epochs}" if epochs else "")))
    speed = number(progress.get("tokens_per_second"))
    if speed is not None and math.isfinite(speed) and speed > 0:
        found.append(("Speed", f"{speed:,.0f} tokens/s"))
    remaining = number(progress.get("eta_seconds"))
    if run.state == "running" and remaining is not None and math.isfinite(remaining):
        found.append(("Time left", f"about {duration(remaining)}"))
    if run.started_at is not None:
        until = run.ended_at if run.ended_at is not None else now
        found.append(("Took" if run.ended_at is not None else "Running for", duration(until - run.started_at)))
    elif run.state == "queued":
        found.append(("Waits since", f"<t:{round(run.created_at)}:R>"))
    return found


def _footer(run: Run, now: float) -> str:
    said = [f"attempt {run.attempt}"] if run.attempt > 1 else []
    phase = run.progress.get("phase")
    if run.state == "running" and isinstance(phase, str) and phase.replace("_", "").isalpha():
        said.append(phase.replace("_", " ")[:40])
    if run.last_heartbeat is not None:
        said.append(f"heard of {duration(now - run.last_heartbeat)} ago")
    return " · ".join(said) or "loquela"


def _line(run: Run, *, watched: bool) -> str:
    said = [f"{SIGNS.get(run.state, '•')} {coded(run.run_id)}", state_words(run.state)]
    step, total = whole(run.progress.get("step")), whole(run.progress.get("steps_total"))
    if run.state != "succeeded" and step is not None and total:
        said.append(f"{min(100, step * 100 // total)} %")
    loss = number(run.progress.get("loss"))
    if loss is not None:
        said.append(f"loss {loss_words(loss)}")
    said.append(f"<t:{round(run.created_at)}:R>")
    return " · ".join(said) + (" 👁" if watched else "")
