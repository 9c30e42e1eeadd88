"""Several processes on this machine. One that is killed costs its task's work only: another takes the task up.

(datatrove's own local executor keeps a pool that waits for ever for a worker that was killed, so its pool is not used.)
"""

from __future__ import annotations

import os
import subprocess
import sys
import time

from loquela.data.tasks.book import TaskList
from loquela.data.tasks.run import Executor, Round, workers

POLL_SECONDS = 0.1
TELL_SECONDS = 1.0
GRACE_SECONDS = 30.0


def executor() -> Executor:
    """The registry's factory."""
    return run


def run(round_: Round) -> None:
    """Keep `compute.data_workers` processes at work until all is done, one fails, or a stop is asked for."""
    round_.book.write(TaskList(tasks=round_.tasks, parent=os.getpid()))
    count = workers(round_.section, round_.tasks)
    processes = [_start(round_, number) for number in range(count)]
    told = time.monotonic()
    try:
        while True:
            if round_.stop.requested:
                round_.book.stop()
            # 0 and 1: the worker ended in order. Anything else is a signal: it is replaced while there is work.
            killed = [number for number, process in enumerate(processes) if process.poll() not in (None, 0, 1)]
            stopped = round_.book.stopped()
            for number in [] if stopped else killed:
                processes[number] = _start(round_, number)
            if all(process.poll() is not None for process in processes) and (stopped or not killed):
                break
            if time.monotonic() - told > TELL_SECONDS:
                told = time.monotonic()
                round_.progress()
            time.sleep(POLL_SECONDS)
    finally:
        _end(processes, round_)
    round_.progress()


def _start(round_: Round, number: int) -> subprocess.Popen[bytes]:
    # One thread each: the processes share the machine among themselves.
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "RAYON_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
    with (round_.book.folder / f"worker-{number}.log").open("ab") as log:
        return subprocess.Popen(  # noqa: S603 (our own interpreter and module, no shell)
            [sys.executable, "-m", "loquela.data.tasks.worker", str(round_.book.folder)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env=environment,
        )


def _end(processes: list[subprocess.Popen[bytes]], round_: Round) -> None:
    """Leave no process behind."""
    for process in processes:
        if process.poll() is None:
            process.terminate()
    deadline = time.monotonic() + GRACE_SECONDS
    for process in processes:
        try:
            process.wait(timeout=max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
