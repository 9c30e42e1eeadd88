"""Several processes on this machine: torchrun starts them, this process listens.

    train_in_processes ──► python -m torch.distributed.run … loquela.training.worker job.json
         ▲  events.jsonl (rank 0 appends, read here and published on the run's bus)
         ▲  outcome-<rank>.json (the result, or the error with its code)
         └─► stop (an empty file: save and end), watched by every rank

The processes have a session of their own, so that Ctrl+C reaches only this one, which asks them to save. Should
this process die, they notice and end (worker.py): two trainers never write to one run.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

from pydantic import Field

from loquela.artifacts.context import StageContext, StageResult
from loquela.compute.provider import LocalProvider
from loquela.core.atomic import write_text
from loquela.core.carried_error import CarriedError
from loquela.core.errors import ErrorCode, ResourceError
from loquela.core.model import BoundaryModel
from loquela.monitoring.events import Bus, Event
from loquela.recipe.schema import Recipe

POLL_SECONDS = 0.1
LAST_LINES = 50


class Job(BoundaryModel):
    """What a worker process needs to know.

    `entry` is the "module:function" of a `(StageContext) -> StageResult` that trains as one rank; `parent` is the
    process id whose end ends the workers.
    """

    entry: str
    recipe: Recipe
    inputs: dict[str, Path]
    output: Path
    run_directory: Path
    folder: Path
    parent: int


class Outcome(BoundaryModel):
    """How one rank ended: with a result or an error."""

    result: StageResult | None = None
    error: CarriedError | None = None
    time: float = Field(default_factory=time.time)


def train_in_processes(context: StageContext, entry: str) -> StageResult:
    """Run `entry` in `compute.processes` processes; returns and raises what rank 0 returns or raises.

    An error that another rank met first is raised instead; ResourceError(WORKER_CRASH) when a process died
    without a word.
    """
    folder = context.run_directory / "processes"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    job = Job(
        entry=entry,
        recipe=context.recipe,
        inputs={name: path.resolve() for name, path in context.inputs.items()},
        output=context.output.resolve(),
        run_directory=context.run_directory.resolve(),
        folder=folder.resolve(),
        parent=os.getpid(),
    )
    write_text(folder / "job.json", job.model_dump_json())
    log = folder / "torchrun.log"
    with log.open("wb") as stream:
        process = subprocess.Popen(  # noqa: S603 (our own interpreter and module, no shell)
            command(folder / "job.json", context.recipe.compute.processes),
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env={**os.environ, **LocalProvider(context.recipe.compute).env()},
        )
        try:
            _listen(process, folder, context)
        finally:
            _end(process)
    try:
        return _result(folder, log)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def command(job: Path, processes: int) -> list[str]:
    """torchrun's command line for `processes` ranks on this machine, on a free port, without restarts."""
    return [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--standalone",
        f"--nproc-per-node={processes}",
        "--max-restarts=0",
        "--module",
        "loquela.training.worker",
        str(job),
    ]


def _listen(process: subprocess.Popen[bytes], folder: Path, context: StageContext) -> None:
    """Publish the workers' events until they have ended; hand on a stop request."""
    tail = Tail(folder / "events.jsonl", context.bus)
    while process.poll() is None:
        tail.publish_new()
        if context.stop.requested and not (folder / "stop").exists():
            (folder / "stop").write_text(context.stop.reason or "", encoding="utf-8")
        time.sleep(POLL_SECONDS)
    tail.publish_new()


class Tail:
    """Publishes the whole lines that a file has gained."""

    def __init__(self, path: Path, bus: Bus) -> None:
        self.path = path
        self.bus = bus
        self._offset = 0

    def publish_new(self) -> None:
        """Read on from where the last call ended; a half line waits for its end."""
        if not self.path.is_file():
            return
        with self.path.open("rb") as stream:
            stream.seek(self._offset)
            data = stream.read()
        whole = data[: data.rfind(b"\n") + 1]
        self._offset += len(whole)
        for line in whole.splitlines():
            event = Event.model_validate_json(line)
            self.bus.publish(event.name, event.data, component=event.component)


def _end(process: subprocess.Popen[bytes]) -> None:
    """Leave no process behind: ask torchrun, which asks its workers; then insist."""
    if process.poll() is not None:
        return
    process.terminate()
    try:
        process.wait(timeout=35)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _result(folder: Path, log: Path) -> StageResult:
    outcomes = [Outcome.model_validate(json.loads(path.read_bytes())) for path in sorted(folder.glob("outcome-*.json"))]
    errors = [outcome.error for outcome in sorted(outcomes, key=lambda outcome: outcome.time) if outcome.error]
    # Ranks that lost their peer only echo what another met: its own words come first.
    told = [error for error in errors if error.code not in (ErrorCode.WORKER_CRASH, ErrorCode.CHECKPOINT_FAILED)]
    # Of ranks that stopped on request, only one that had seen the request yet can say whose it was.
    knowing = [error for error in told if error.code is not ErrorCode.INTERRUPTED or error.details.get("reason")]
    for error in (*knowing, *told, *errors):
        raise error.error()
    for outcome in outcomes:
        if outcome.result is not None:
            return outcome.result
    last = log.read_text(encoding="utf-8", errors="replace").splitlines()[-LAST_LINES:]
    raise ResourceError(
        ErrorCode.WORKER_CRASH,
        "the training processes ended without a result: " + (last[-1] if last else "they said nothing"),
        "run the same command again with --resume auto; with compute.processes: 1 the cause is easier to see",
        retryable=True,
        details={"last_lines": list(last)},
    )
