"""One rank of a training in several processes: `python -m loquela.training.worker job.json`, under torchrun."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType

from loquela.artifacts.context import StageContext, StageResult, StopRequest
from loquela.core.atomic import write_text
from loquela.core.carried_error import CarriedError
from loquela.core.entry import resolve
from loquela.core.errors import Interrupted, LoquelaError
from loquela.monitoring.events import Bus, EventBus, EventFile, SilentBus
from loquela.training.launch import Job, Outcome

WATCH_SECONDS = 0.2


def main(arguments: list[str]) -> int:
    """Train as one rank; 0 when it ended in order (a requested stop included), 1 otherwise."""
    job = Job.model_validate_json(Path(arguments[0]).read_bytes())
    rank = int(os.environ["RANK"])
    stop = StopRequest()

    def on_signal(number: int, frame: FrameType | None) -> None:
        stop.request(signal.Signals(number).name)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, on_signal)
    threading.Thread(target=_watch, args=(job, stop), daemon=True).start()
    context = StageContext(
        recipe=job.recipe,
        bus=_bus(job, rank),
        inputs=job.inputs,
        output=job.output,
        run_directory=job.run_directory,
        stop=stop,
    )
    outcome, status = _run(job.entry, context)
    write_text(job.folder / f"outcome-{rank}.json", outcome.model_dump_json())
    return status


def _run(entry: str, context: StageContext) -> tuple[Outcome, int]:
    try:
        train: Callable[[StageContext], StageResult] = resolve(entry)
        return Outcome(result=train(context)), 0
    except LoquelaError as error:
        return Outcome(error=CarriedError.of(error)), 0 if isinstance(error, Interrupted) else 1


def _bus(job: Job, rank: int) -> Bus:
    if rank != 0:
        return SilentBus()
    bus = EventBus()
    bus.subscribe(EventFile(job.folder / "events.jsonl"))
    return bus


def _watch(job: Job, stop: StopRequest) -> None:
    """Pass on the stop file; end at once when the process that holds the run's lock is gone."""
    while True:
        if not _alive(job.parent):
            os._exit(1)
        path = job.folder / "stop"
        if path.is_file():
            stop.request(path.read_text(encoding="utf-8") or "the launching process")
        time.sleep(WATCH_SECONDS)


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
