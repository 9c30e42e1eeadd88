"""An array job on a Slurm cluster, submitted through datatrove; this process waits, and cancels it when it is stopped.

The output directory must lie on a file system that all nodes see. What datatrove stores for its job is a pickle
of our own step that only the job reads again; nothing from outside is ever unpickled.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Protocol

from loquela.core.errors import ErrorCode, ResourceError
from loquela.data.tasks.ranks import TaskRank, datatrove_executors
from loquela.data.tasks.run import Executor, Round, workers
from loquela.recipe.slurm_section import SlurmSection

POLL_SECONDS = 2.0
PURPOSE = "compute.data: slurm"


class _SlurmJob(Protocol):
    """What is used of datatrove's executor."""

    job_id: str | int

    def launch_job(self) -> None: ...


class _MakesSlurmJobs(Protocol):
    def __call__(
        self,
        *,
        pipeline: list[TaskRank],
        tasks: int,
        time: str,
        partition: str,
        cpus_per_task: int,
        mem_per_cpu_gb: int,
        workers: int,
        job_name: str,
        qos: str,
        env_command: str,
        logging_dir: str,
        skip_completed: bool,
        mail_type: str,
    ) -> _SlurmJob: ...


def executor() -> Executor:
    """The registry's factory."""
    return run


def run(round_: Round) -> None:
    """Submit one element a task, and wait until the queue knows the job no more or all is done."""
    section = round_.section.slurm
    if not section.partition:
        raise ResourceError(
            ErrorCode.INSUFFICIENT_RESOURCES,
            "compute.data is slurm, but no partition is named",
            "set compute.slurm.partition (to see them: sinfo)",
        )
    make: _MakesSlurmJobs = datatrove_executors(extra="scale", purpose=PURPOSE).SlurmPipelineExecutor
    logs = round_.book.folder / "slurm"
    job = make(
        pipeline=[TaskRank(round_.book.folder.resolve())],
        tasks=len(round_.tasks),
        time=section.time_limit,
        partition=section.partition,
        cpus_per_task=section.cpus_per_task,
        mem_per_cpu_gb=section.memory_gb_per_cpu,
        workers=workers(round_.section, round_.tasks),
        job_name="loquela-data",
        qos=section.qos,
        env_command=_environment(),
        logging_dir=str(logs.resolve()),
        skip_completed=False,
        mail_type="NONE",
    )
    _submit(job, section)
    _wait(str(job.job_id), round_)


def _environment() -> str:
    """Shell line that gives the job this environment's commands; the path is quoted by Slurm's own shell."""
    folder = str(Path(sys.executable).parent)
    return "export PATH='" + folder.replace("'", "'\\''") + '\':"$PATH"'


def _submit(job: _SlurmJob, section: SlurmSection) -> None:
    try:
        job.launch_job()
    except FileNotFoundError as error:
        raise ResourceError(
            ErrorCode.INSUFFICIENT_RESOURCES,
            "compute.data is slurm, but there is no sbatch command here",
            "run this on a login node of the cluster, or set compute.data: local",
        ) from error
    except subprocess.CalledProcessError as error:
        raise ResourceError(
            ErrorCode.INSUFFICIENT_RESOURCES,
            f"sbatch refused the job for partition {section.partition} (exit {error.returncode}); its words are above",
            "correct compute.slurm, or set compute.data: local",
        ) from error


def _wait(job_id: str, round_: Round) -> None:
    while _queued(job_id):
        if round_.stop.requested or round_.book.failure() is not None:
            _command("scancel", job_id)
            return
        round_.progress()
        if all(task.done() is not None for task in round_.tasks):
            return
        time.sleep(POLL_SECONDS)
    round_.progress()


def _queued(job_id: str) -> bool:
    """Whether the cluster still knows the job; it forgets finished ones after a while, and answers with an error."""
    answer = _command("squeue", "--noheader", "--jobs", job_id)
    return answer.returncode == 0 and bool(answer.stdout.strip())


def _command(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603 (the cluster's own commands, no shell)
        words, capture_output=True, text=True, check=False, env=os.environ
    )
