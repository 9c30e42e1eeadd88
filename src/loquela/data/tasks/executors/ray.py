"""A Ray cluster, through datatrove's Ray executor: the one that RAY_ADDRESS names, else one on this machine.

The output directory must lie on a file system that all nodes see.
"""

from __future__ import annotations

import os
import socket
from typing import Protocol

from loquela.core.errors import ErrorCode, ResourceError
from loquela.core.extras import require
from loquela.data.tasks.ranks import TaskRank, datatrove_executors
from loquela.data.tasks.run import Executor, Round, workers

PURPOSE = "compute.data: ray"
MEMORY_GB_PER_CPU = 1
KNOCK_SECONDS = 10.0


class _Ray(Protocol):
    """What is used of the module `ray`."""

    def is_initialized(self) -> bool: ...
    def init(
        self, *, address: str | None, num_cpus: int | None, include_dashboard: bool, log_to_driver: bool
    ) -> None: ...
    def shutdown(self) -> None: ...


class _RayJob(Protocol):
    def run(self) -> None: ...


class _MakesRayJobs(Protocol):
    def __call__(
        self,
        *,
        pipeline: list[TaskRank],
        tasks: int,
        workers: int,
        skip_completed: bool,
        logging_dir: str,
        cpus_per_task: int,
        mem_per_cpu_gb: float,
    ) -> _RayJob: ...


def executor() -> Executor:
    """The registry's factory."""
    return run


def run(round_: Round) -> None:
    """Give every task to the cluster and wait; a cluster that was started here is ended here."""
    ray: _Ray = require("ray", extra="ray", purpose=PURPOSE)
    make: _MakesRayJobs = datatrove_executors(extra="ray", purpose=PURPOSE).RayPipelineExecutor
    count = workers(round_.section, round_.tasks)
    ours = not ray.is_initialized()
    if ours:
        _connect(ray, count)
    try:
        make(
            pipeline=[TaskRank(round_.book.folder.resolve())],
            tasks=len(round_.tasks),
            workers=count,
            skip_completed=False,
            logging_dir=str((round_.book.folder / "ray").resolve()),
            cpus_per_task=1,
            mem_per_cpu_gb=MEMORY_GB_PER_CPU,
        ).run()
    finally:
        if ours:
            ray.shutdown()
    round_.progress()


def _connect(ray: _Ray, count: int) -> None:
    address = os.environ.get("RAY_ADDRESS")
    try:
        if address and address != "auto":
            _knock(address)
        ray.init(address=address, num_cpus=None if address else count, include_dashboard=False, log_to_driver=False)
    except (OSError, RuntimeError, ValueError) as error:
        raise ResourceError(
            ErrorCode.INSUFFICIENT_RESOURCES,
            f"no Ray cluster at {address or 'this machine'}: {error}",
            "correct RAY_ADDRESS, start the cluster (ray start --head), or set compute.data: local",
            retryable=True,
        ) from error


def _knock(address: str) -> None:
    """OSError at once where nobody listens; Ray itself would wait for minutes."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    socket.create_connection((host, int(port)), timeout=KNOCK_SECONDS).close()
