"""What a person sees while a recipe is executed: stages with ticks, a live training line, the loss curve.

On a terminal the lower part is redrawn in place; elsewhere (a file, a pipe, CI) the same facts come as plain lines.
Colours follow NO_COLOR and the terminal, as rich decides.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from types import TracebackType

from pydantic import JsonValue
from rich.console import Console, Group
from rich.live import Live
from rich.markup import escape as without_markup
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from loquela.core.text.visible import visible
from loquela.monitoring.curve import Point, terminal_curve
from loquela.monitoring.curve_file import TRAINING_STAGES, read_points
from loquela.monitoring.events import Event

STAGE_TITLES = {
    "ingest": "corpus",
    "qa": "questions and answers",
    "tokenizer": "tokenizer",
    "prepare": "shards",
    "base": "base model",
    "train": "training",
    "finetune": "fine-tuning",
    "merge": "merge",
    "package": "package",
    "evaluate": "evaluation",
    "compare": "base against adapter",
    "export": "exports",
    "deploy_check": "deployment check",
}
PLAIN_EVERY_SECONDS = 10.0
CURVE_HEIGHT = 9


def escape(text: str) -> str:
    """Words of a recipe, a source or a service: neither rich nor the terminal obeys them."""
    return without_markup(visible(text))


class ProgressDisplay:
    """Bus listener and context manager: `with ProgressDisplay() as display: execute(…, listeners=[display])`."""

    def __init__(self, console: Console | None = None) -> None:
        # Only a terminal has a width to wrap at; a log keeps one fact on one line.
        self.console = console or Console(stderr=True, soft_wrap=not sys.stderr.isatty())
        self.train: list[Point] = []
        self.validation: list[Point] = []
        self.progress: dict[str, JsonValue] = {}
        self.stage: str | None = None
        self.parts = ""
        self._stage_began = 0.0
        self._plain_at = 0.0
        self._live: Live | None = None

    def __enter__(self) -> ProgressDisplay:
        if self.console.is_terminal:
            self._live = Live(console=self.console, refresh_per_second=4, get_renderable=self._lower, transient=True)
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None

    def __call__(self, event: Event) -> None:
        handler = self._HANDLERS.get(event.name)
        if handler is not None:
            handler(self, event.data)

    # ── events ────────────────────────────────────────────────────────────────────────────────────────

    def _started(self, data: dict[str, JsonValue]) -> None:
        verb = "going on with" if data.get("resumed") else "run"
        self.train, self.validation = read_points(Path(str(data.get("directory"))))
        self.console.print(f"[bold]{verb} {escape(str(data.get('run_id')))}[/bold]", highlight=False)
        self.console.print(f"  in {escape(str(data.get('directory')))}", highlight=False, style="dim")
        derived = data.get("derived")
        for row in derived if isinstance(derived, list) else []:
            if isinstance(row, dict):
                self.console.print(
                    f"  {escape(str(row.get('key')))} = {escape(str(row.get('value')))}  "
                    f"[dim]{escape(str(row.get('reason')))}[/dim]",
                    highlight=False,
                )

    def _trains(self, data: dict[str, JsonValue]) -> None:
        plan = data.get("plan")
        reasons = plan.get("reasons") if isinstance(plan, dict) else None
        if not isinstance(plan, dict) or not isinstance(reasons, dict):
            return
        for key, reason in reasons.items():
            line = f"  compute.{escape(key)} = {escape(str(plan.get(key)))}  [dim]{escape(str(reason))}[/dim]"
            self.console.print(line, highlight=False)

    def _holds(self, data: dict[str, JsonValue]) -> None:
        for key, found in data.items():
            if isinstance(found, dict) and key.startswith("finetune."):
                asked, holds = found.get("requested"), found.get("effective")
                said = "the recipe's" if asked == holds else f"asked for: {asked}"
                self.console.print(
                    f"  {escape(key)} = {escape(str(holds))}  [dim]{escape(said)}[/dim]", highlight=False
                )

    def _proven(self, data: dict[str, JsonValue]) -> None:
        mark = "[green]✔[/green]" if data.get("passed") else "[red]✘[/red]"
        seconds = data.get("seconds")
        spent = f"{seconds:6.1f} s" if isinstance(seconds, int | float) else ""
        name, message = str(data.get("name")).replace("_", " "), escape(str(data.get("message")))
        self.console.print(f"  {mark} {name:<24}{spent}  [dim]{message}[/dim]", highlight=False)

    def _stage_started(self, data: dict[str, JsonValue]) -> None:
        self.stage = str(data.get("stage"))
        self.parts = ""
        self._stage_began = time.monotonic()
        if not self.console.is_terminal:
            self.console.print(f"… {STAGE_TITLES.get(self.stage, self.stage)}", highlight=False)

    def _stage_completed(self, data: dict[str, JsonValue]) -> None:
        stage = str(data.get("stage"))
        mark = "[cyan]=[/cyan]" if data.get("reused") else "[green]✔[/green]"
        seconds = data.get("seconds")
        spent = f"{seconds:7.1f} s" if isinstance(seconds, int | float) else ""
        title = STAGE_TITLES.get(stage, stage)
        self.console.print(f"{mark} {title:<10} {spent}  {escape(str(data.get('summary') or ''))}", highlight=False)
        self.stage = None
        if stage in TRAINING_STAGES and self.train:
            self.console.print(Text(self._curve()))

    def _progressed(self, data: dict[str, JsonValue]) -> None:
        self.progress = {**self.progress, **data}
        step, loss, validation = data.get("step"), data.get("loss"), data.get("validation_loss")
        if isinstance(step, int) and isinstance(loss, float):
            self.train.append(Point(step, loss))
        if isinstance(step, int) and isinstance(validation, float):
            if not self.validation or self.validation[-1].value != validation:
                self.validation.append(Point(step, validation))
        if not self.console.is_terminal and time.monotonic() - self._plain_at >= PLAIN_EVERY_SECONDS:
            self._plain_at = time.monotonic()
            self.console.print("  " + self._training_line(), highlight=False)

    def _part_done(self, data: dict[str, JsonValue]) -> None:
        total = data.get("total")
        if isinstance(total, int) and total > 1:
            self.parts = f"{number(data.get('done'))} of {number(total)} parts"
            if not self.console.is_terminal and time.monotonic() - self._plain_at >= PLAIN_EVERY_SECONDS:
                self._plain_at = time.monotonic()
                self.console.print(f"  {self.parts}", highlight=False)

    def _compared(self, data: dict[str, JsonValue]) -> None:
        what = f"{data.get('side')}: {data.get('what')}"
        self.parts = f"{what}, {number(data.get('done'))} of {number(data.get('total'))}"
        if not self.console.is_terminal and time.monotonic() - self._plain_at >= PLAIN_EVERY_SECONDS:
            self._plain_at = time.monotonic()
            self.console.print(f"  {self.parts}", highlight=False)

    def _noted(self, data: dict[str, JsonValue]) -> None:
        said = data.get("message") or "; ".join(f"{key}: {value}" for key, value in data.items())
        self.console.print(f"[yellow]![/yellow] {escape(str(said))}", highlight=False)

    # ── drawing ───────────────────────────────────────────────────────────────────────────────────────

    def _training_line(self) -> str:
        p = self.progress
        parts = [f"step {number(p.get('step'))}/{number(p.get('steps_total'))}"]
        parts.append(f"epoch {number(p.get('epoch'))}/{number(p.get('epochs'))}")
        parts.append(f"loss {decimal(p.get('loss'))}")
        if p.get("validation_loss") is not None:
            parts.append(f"validation {decimal(p.get('validation_loss'))}")
        parts.append(f"{number(p.get('tokens_per_second'))} tokens/s")
        parts.append(f"ETA {clock(p.get('eta_seconds'))}")
        return "  ".join(parts)

    def _lower(self) -> Group:
        """The part that is redrawn: the running stage, and while training its bar, numbers and curve."""
        if self.stage is None:
            return Group()
        spent = time.monotonic() - self._stage_began
        title = STAGE_TITLES.get(self.stage, self.stage)
        head = Text.assemble(("▸ ", "bold blue"), f"{title:<10} {spent:7.1f} s  {self.parts}")
        step, total = self.progress.get("step"), self.progress.get("steps_total")
        if self.stage not in TRAINING_STAGES or not isinstance(step, int) or not isinstance(total, int) or total < 1:
            return Group(head)
        bar = Table.grid(padding=(0, 1))
        width = max(20, min(72, self.console.width - 12))
        bar.add_row(f"{step / total:7.0%}", ProgressBar(total=total, completed=step, width=width))
        return Group(head, bar, Text(f"{'':9}{self._training_line()}"), Text(self._curve()))

    def _curve(self) -> str:
        width = max(20, min(72, self.console.width - 12))
        return terminal_curve(self.train, self.validation, width=width, height=CURVE_HEIGHT)

    _HANDLERS = {  # noqa: RUF012  (a table of methods, never changed)
        "pipeline.started.v1": _started,
        "pipeline.stage_started.v1": _stage_started,
        "pipeline.stage_completed.v1": _stage_completed,
        "trainer.job.started.v1": _trains,
        "trainer.metrics.progress.v1": _progressed,
        "finetune.effective_settings.v1": _holds,
        "finetune.proof.finished.v1": _proven,
        "data.tasks_progress.v1": _part_done,
        "evaluation.comparison_progress.v1": _compared,
        "artifact.damaged.v1": _noted,
        "pipeline.data_changed.v1": _noted,
        "model_checkpointer.checkpoint_quarantined.v1": _noted,
        "training_orchestrator.resumed.v1": _noted,
        "notice.v1": _noted,
    }


def number(value: JsonValue) -> str:
    """A count with thin thousands, or a dash."""
    return f"{value:,.0f}".replace(",", " ") if isinstance(value, int | float) else "–"


def decimal(value: JsonValue) -> str:
    """A loss with four decimals, or a dash."""
    return f"{value:.4f}" if isinstance(value, int | float) else "–"


def clock(seconds: JsonValue) -> str:
    """h:mm:ss or m:ss, or a dash."""
    if not isinstance(seconds, int | float) or seconds < 0 or seconds > 10**8:
        return "–"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
