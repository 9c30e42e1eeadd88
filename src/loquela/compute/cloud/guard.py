"""Watches a run on a rented machine from inside, and ends the machine whatever becomes of the one who launched it.

    python -m loquela.compute.cloud.guard guard.json

It starts the command, reckons what the machine has cost since it was started, and stops the command (Ctrl+C, which
saves everything) before the cap, or when nothing happens any more. Then it writes DONE.json with the SHA-256 of every
result, copies the results to a bucket where one is named, waits until they were fetched or the time for it is up, and
terminates the machine.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psutil
from pydantic import Field

from loquela.compute.cloud.bucket import copy_results
from loquela.compute.cloud.done import DONE_NAME, RELEASED_NAME, Done, Outcome, list_results
from loquela.core.atomic import write_text
from loquela.core.errors import LoquelaError
from loquela.core.model import BoundaryModel

# Less of one core than this is no work: an interpreter that waits takes some of it too.
IDLE_CORES = 0.02
TERMINATION_TRIES = 20


class GuardSettings(BoundaryModel):
    """`guard.json`: what to run and when to end. `usd_per_hour` is the price of the whole machine."""

    command: list[str] = Field(min_length=1)
    results: Path
    state: Path
    max_cost_usd: float = Field(gt=0)
    usd_per_hour: float = Field(gt=0)
    idle_minutes: float = Field(gt=0)
    save_minutes: float = Field(ge=0)
    claim_minutes: float = Field(ge=0)
    terminate: list[str] = Field(min_length=1)
    bucket: str | None = None
    poll_seconds: float = Field(5.0, gt=0)
    started: float | None = Field(None, description="Unix time since which it costs; null: its first process")


class Guard:
    """One run under guard; `clock` gives Unix time."""

    def __init__(self, settings: GuardSettings, clock: Callable[[], float] = time.time) -> None:
        self.settings = settings
        self.clock = clock
        self.began = settings.started if settings.started is not None else psutil.Process(1).create_time()
        self.interrupted = False
        self._seen: tuple[float, float] = (0.0, 0.0)
        self._busy_at = clock()

    @property
    def cost(self) -> float:
        """US dollars that the machine has cost so far."""
        return max(0.0, self.clock() - self.began) / 3600 * self.settings.usd_per_hour

    @property
    def saving_cost(self) -> float:
        """US dollars kept back for saving and packing up."""
        return self.settings.save_minutes / 60 * self.settings.usd_per_hour

    def run(self) -> Done:
        """Run the command to one of its ends, mark it, and terminate the machine."""
        self.settings.state.mkdir(parents=True, exist_ok=True)
        signal.signal(signal.SIGTERM, self._on_signal)
        with (self.settings.state / "run.log").open("ab") as log:
            child = subprocess.Popen(  # noqa: S603 (the launcher's own command line, no shell)
                self.settings.command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
            outcome, message = self._watch(child)
            if child.poll() is None:
                self._stop(child)
        done = self._mark(outcome, message, child.returncode)
        self._wait_until_fetched(done)
        self._terminate()
        return done

    def _watch(self, child: subprocess.Popen[bytes]) -> tuple[Outcome, str]:
        self._busy_at = self.clock()
        while child.poll() is None:
            if self.cost + self.saving_cost >= self.settings.max_cost_usd:
                return "cost_cap", f"stopped before the cap of {self.settings.max_cost_usd:g} USD"
            if self._idle(child.pid):
                return "idle", f"nothing happened for {self.settings.idle_minutes:g} minutes"
            if self.interrupted:
                return "stopped", "the machine was told to stop"
            time.sleep(self.settings.poll_seconds)
        if child.returncode == 0:
            return "completed", "the command ended"
        return "failed", f"the command ended with exit code {child.returncode}: {self._last_line()}"

    def _idle(self, pid: int) -> bool:
        """No processor time worth the name and no file written for `idle_minutes`."""
        now, worked, newest = self.clock(), _processor_seconds(pid), _newest_change(self.settings.results)
        before_worked, before_newest = self._seen
        elapsed = now - self._busy_at
        if newest > before_newest or worked - before_worked > IDLE_CORES * max(elapsed, self.settings.poll_seconds):
            self._seen, self._busy_at = (worked, newest), now
            return False
        return elapsed >= self.settings.idle_minutes * 60

    def _stop(self, child: subprocess.Popen[bytes]) -> None:
        """Ctrl+C, time to save, and then the end of the whole process group."""
        child.send_signal(signal.SIGINT)
        try:
            child.wait(timeout=max(1.0, self.settings.save_minutes * 60 * 0.6))
        except subprocess.TimeoutExpired:
            with suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)
            child.wait()

    def _mark(self, outcome: Outcome, message: str, exit_code: int | None) -> Done:
        done = Done(
            outcome=outcome,
            exit_code=exit_code,
            message=message,
            seconds=round(self.clock() - self.began, 1),
            cost_usd=round(self.cost, 4),
            files=list_results(self.settings.results),
        )
        if self.settings.bucket is not None:
            try:
                copy_results(self.settings.results, done, self.settings.bucket)
                done.copied_to = self.settings.bucket
            except LoquelaError as error:
                # What the machine holds can still be fetched while it waits.
                done.message += f"; not copied to {self.settings.bucket}: {error.message}"
        write_text(self.settings.state / DONE_NAME, done.model_dump_json(indent=2) + "\n")
        return done

    def _wait_until_fetched(self, done: Done) -> None:
        """Until the results were fetched and proven, lie in a bucket, or the time or money for waiting is up."""
        until = self.clock() + self.settings.claim_minutes * 60
        while done.copied_to is None and self.clock() < until and self.cost < self.settings.max_cost_usd:
            if (self.settings.state / RELEASED_NAME).exists() or self.interrupted:
                return
            time.sleep(self.settings.poll_seconds)

    def _terminate(self) -> None:
        for attempt in range(TERMINATION_TRIES):
            ended = subprocess.run(self.settings.terminate, stdin=subprocess.DEVNULL, check=False)  # noqa: S603
            if ended.returncode == 0:
                return
            time.sleep(min(60.0, self.settings.poll_seconds * 2**attempt))

    def _on_signal(self, *_: object) -> None:
        self.interrupted = True

    def _last_line(self) -> str:
        lines = (self.settings.state / "run.log").read_text(encoding="utf-8", errors="replace").split("\n")
        return next((line for line in reversed(lines) if line.strip()), "it said nothing")


def _processor_seconds(pid: int) -> float:
    """Processor time of a process and all below it."""
    total = 0.0
    with suppress(psutil.NoSuchProcess):
        process = psutil.Process(pid)
        for each in [process, *process.children(recursive=True)]:
            with suppress(psutil.NoSuchProcess):
                times = each.cpu_times()
                total += times.user + times.system
    return total


def _newest_change(folder: Path) -> float:
    newest = 0.0
    for path in folder.rglob("*"):
        with suppress(FileNotFoundError):
            newest = max(newest, path.stat().st_mtime)
    return newest


def main() -> None:
    """Read the settings named on the command line and stand guard."""
    Guard(GuardSettings.model_validate_json(Path(sys.argv[1]).read_bytes())).run()


if __name__ == "__main__":
    main()
