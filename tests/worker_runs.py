"""Tiny runs as jobs, and workers as processes of their own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from loquela.jobs.clock import SystemClock
from loquela.jobs.database import Database, sqlite_url
from loquela.jobs.listing import Listing
from loquela.jobs.records import Job, NewJob
from loquela.jobs.schema import migrate
from loquela.jobs.states import JobState
from loquela.jobs.submissions import Submissions

WORKER = """
import signal, sys
from pathlib import Path
from loquela.jobs.database import Database
from loquela.jobs.doorbell.polling import PollingDoorbell
from loquela.worker.worker import Worker
worker = Worker(Path(sys.argv[1]), Database(sys.argv[2]), PollingDoorbell(), lease_seconds=5, beat_seconds=0.2)
signal.signal(signal.SIGTERM, lambda number, frame: worker.stop())
print("ready", flush=True)
worker.run()
"""

RECIPE = {
    "name": "tiny",
    "data": {"document_bytes": 256, "validation_fraction": 0.1, "corpus_size_mb": 1},
    "tokenizer": {"method": "bpe", "vocab_size": 300},
    "model": {"num_layers": 1, "d_model": 16, "num_heads": 2, "dim_feedforward": 32, "max_sequence_length": 32},
    "train": {
        "epochs": 2, "batch_size": 16, "gradient_accumulation_steps": 1, "checkpoint_every_steps": 5,
        "learning_rate": 0.003, "log_every_steps": 1,
    },
    "evaluate": {"prompts": ["the fox"], "sample_tokens": 4, "metrics": ["perplexity"]},
    "compute": {"device": "cpu", "threads": 1, "linear_kernel": "torch", "compile": "off"},
}  # fmt: skip


def recipe(home: Path, *, epochs: int = 2, **sections: dict[str, object]) -> dict[str, object]:
    """A recipe that trains for a second or two on a text in `home`."""
    text = home / "story.txt"
    if not text.is_file():
        lines = [f"The fox number {n} walked to the house and dreamt of the sea, {n * 7} times.\n" for n in range(200)]
        text.write_text("".join(lines), encoding="utf-8")
    made = json.loads(json.dumps(RECIPE))
    made["data"]["sources"] = [str(text)]
    made["train"]["epochs"] = epochs
    for name, values in sections.items():
        made[name] = {**made.get(name, {}), **values}
    return made


class Bench:
    """A data folder with its database, and the workers that were started on it."""

    def __init__(self, home: Path, url: str | None = None) -> None:
        self.home = home
        self.data = home / "data"
        self.data.mkdir(parents=True)
        self.database = Database(url or sqlite_url(home / "jobs.db"))
        migrate(self.database)
        self.clock = SystemClock()
        self.listing = Listing(self.database)
        self._workers: list[subprocess.Popen[str]] = []

    def submit(self, job_id: str, spec: dict[str, object]) -> Job:
        new = NewJob(id=job_id, kind="run", run_id=job_id, spec={"recipe": spec})
        return Submissions(self.database, self.clock).submit(new)

    def worker(self) -> subprocess.Popen[str]:
        """A worker in a process of its own, ready."""
        process = subprocess.Popen(
            [sys.executable, "-c", WORKER, str(self.data), self.database.url],
            stdout=subprocess.PIPE, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"},
        )  # fmt: skip
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        self._workers.append(process)
        return process

    def wait(self, job_id: str, fits: Callable[[Job], bool], timeout: float = 200.0) -> Job:
        """The job as soon as it fits."""
        until = time.monotonic() + timeout
        while time.monotonic() < until:
            job = self.listing.get(job_id)
            if fits(job):
                return job
            time.sleep(0.05)
        output = self.data / "jobs" / job_id / "output.log"
        said = output.read_text()[-2000:] if output.is_file() else ""
        raise AssertionError(f"{self.listing.get(job_id)} after {timeout} s; it said: {said}")

    def until_state(self, job_id: str, *states: JobState) -> Job:
        return self.wait(job_id, lambda job: job.state in states)

    def until_step(self, job_id: str, step: int) -> Job:
        def reached(job: Job) -> bool:
            found = job.progress.get("step")
            return isinstance(found, int) and found >= step

        return self.wait(job_id, reached)

    def close(self) -> None:
        for process in self._workers:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
                try:
                    process.wait(timeout=60)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
            if process.stdout is not None:
                process.stdout.close()
        self.database.close()
