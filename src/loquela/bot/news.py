"""What of the service's events is worth telling, in words and numbers of our own: no text of an event is passed on.

Only the names below are told, and of their data only the numbers that are named here; a sample of generated text, a
line of a corpus or a path cannot get through, whatever an event holds.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pydantic import JsonValue

from loquela.bot.words import loss_words, number, perplexity_words, whole
from loquela.client.answers import Event

Data = dict[str, JsonValue]


@dataclass(frozen=True)
class News:
    """A line for the run's card. `rings`: it is also sent as a message of its own, so that a phone makes a sound."""

    kind: str
    text: str
    rings: bool = False


def news_of(event: Event) -> News | None:
    """What there is to tell of an event; None for what is not told."""
    if event.name.startswith("job.") and event.job_id not in (None, event.run_id):
        # How a job on the run fares (an evaluation, an export, a text it wrote) is not how the run does.
        return None
    tell = _TOLD.get(event.name)
    return tell(event.data) if tell is not None else None


def _running(data: Data) -> News:
    attempt = whole(data.get("attempt")) or 1
    if attempt > 1:
        return News("started", f"goes on, attempt {attempt}")
    return News("started", "started", rings=True)


def _trains(data: Data) -> News:
    steps, parameters = whole(data.get("steps_total")), whole(data.get("parameters"))
    parts = [f"{steps:,} steps" if steps else "", f"{parameters:,} parameters" if parameters else ""]
    facts = ", ".join(part for part in parts if part)
    return News("training", "training begins" + (f": {facts}" if facts else ""))


def _saved(data: Data) -> News:
    step = whole(data.get("step"))
    return News("checkpoint", "checkpoint saved" + (f" at step {step:,}" if step is not None else ""))


def _validated(data: Data) -> News:
    step, loss = whole(data.get("step")), number(data.get("validation_loss"))
    where = f" at step {step:,}" if step is not None else ""
    return News("evaluation", f"evaluated{where}{_measured('held-out loss', loss)}")


def _evaluated(data: Data) -> News:
    return News("evaluation", f"evaluation done{_measured('loss', number(data.get('loss')))}")


def _measured(name: str, loss: float | None) -> str:
    return f": {name} {loss_words(loss)}, perplexity {perplexity_words(loss)}" if loss is not None else ""


def _rolled_back(data: Data) -> News:
    step = whole(data.get("step"))
    return News("warning", "the loss broke down; rolled back" + (f" to step {step:,}" if step is not None else ""))


def _always(kind: str, text: str, *, rings: bool = False) -> Callable[[Data], News]:
    said = News(kind, text, rings)
    return lambda data: said


def _interrupted(data: Data) -> News:
    if data.get("reason") == "user":
        return News("interrupted", "stopped on the command line", rings=True)
    if data.get("reason") == "worker_shutdown":
        return News("interrupted", "its worker was shut down after saving; it goes on from there")
    return News("interrupted", "interrupted; it goes on by itself", rings=True)


_TOLD: dict[str, Callable[[Data], News]] = {
    "job.queued.v1": _always("queued", "queued"),
    "job.running.v1": _running,
    "trainer.job.started.v1": _trains,
    "training_orchestrator.checkpoint_saved.v1": _saved,
    "training_orchestrator.validated.v1": _validated,
    "training_orchestrator.rolled_back.v1": _rolled_back,
    "validation_runner.validation_complete.v1": _evaluated,
    "job.interrupted.v1": _interrupted,
    "job.paused.v1": _always("paused", "paused", rings=True),
    "job.cancelled.v1": _always("cancelled", "cancelled", rings=True),
    "job.succeeded.v1": _always("completed", "finished", rings=True),
    "job.failed.v1": _always("failed", "failed", rings=True),
}
