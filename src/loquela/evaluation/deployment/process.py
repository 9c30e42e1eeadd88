"""The load process from outside: started, listened to, and ended when it takes too long or nobody wants it any more."""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from typing import IO

from pydantic import ValidationError

from loquela.core.errors import ErrorCode, Interrupted, LoquelaError, ProofError
from loquela.evaluation.deployment.job import LoadJob, LoadMessage, LoadRun

COMMAND = (sys.executable, "-P", "-m", "loquela.evaluation.deployment.load_process")
POLL_SECONDS = 0.1
LONGEST_COMPLAINT = 500
CHUNK_BYTES = 1 << 16


def run_job(
    job: LoadJob,
    served: Callable[[int], None] = lambda count: None,
    stop_reason: Callable[[], str | None] = lambda: None,
) -> LoadRun:
    """Measure `job` in a fresh process; `served` hears of every answered request.

    Raises what the process raised; ProofError(INFERENCE_FAILED) when it died or took more than it may; Interrupted
    when `stop_reason` gives one. However it ends, no process is left.
    """
    with tempfile.TemporaryFile() as complaints:
        # A session of its own: Ctrl+C reaches the one that waits, which then ends this process.
        process = subprocess.Popen(  # noqa: S603 - our own module, no shell
            COMMAND, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=complaints, start_new_session=True
        )
        try:
            _hand_over(process, job)
            for message in _messages(process, job, stop_reason):
                if message.failure is not None:
                    raise message.failure.error()
                if message.run is not None:
                    return message.run
                served(message.served or 0)
            process.wait(timeout=job.limits.wall_seconds)
            raise _died(job, process.returncode, complaints)
        finally:
            process.kill()
            process.wait()
            for stream in (process.stdin, process.stdout):
                if stream is not None:
                    stream.close()


def _hand_over(process: subprocess.Popen[bytes], job: LoadJob) -> None:
    assert process.stdin is not None  # noqa: S101 - it is a pipe
    try:
        process.stdin.write(job.model_dump_json().encode("utf-8") + b"\n")
        process.stdin.flush()
    except BrokenPipeError:
        # It died before it read: what it complained of is told when its output ends.
        return


def _messages(
    process: subprocess.Popen[bytes], job: LoadJob, stop_reason: Callable[[], str | None]
) -> Iterator[LoadMessage]:
    """Every whole line until the output ends; ends the wait when time is over or somebody asks."""
    assert process.stdout is not None  # noqa: S101 - it is a pipe
    deadline = time.monotonic() + job.limits.wall_seconds
    rest = b""
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while True:
            if (reason := stop_reason()) is not None:
                raise Interrupted(
                    ErrorCode.INTERRUPTED,
                    f"stopped while {job.bundle} was measured ({reason}); no report was written",
                    "run the same command again; the check begins anew",
                )
            if time.monotonic() > deadline:
                raise _too_slow(job)
            if not selector.select(POLL_SECONDS):
                continue
            chunk = os.read(process.stdout.fileno(), CHUNK_BYTES)
            if not chunk:
                return
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                yield _message(line, job)


def _message(line: bytes, job: LoadJob) -> LoadMessage:
    try:
        return LoadMessage.model_validate_json(line)
    except ValidationError as error:
        raise _failed(job, f"it answered something else than a measurement: {line[:200]!r}") from error


def _too_slow(job: LoadJob) -> LoquelaError:
    return ProofError(
        ErrorCode.INFERENCE_FAILED,
        f"the process that runs {job.bundle} was still busy after {job.limits.wall_seconds:g} seconds and was ended",
        "lower deploy.load.requests or deploy.load.new_tokens, or raise deploy.limits.wall_seconds",
        details={"path": str(job.bundle)},
    )


def _died(job: LoadJob, code: int, complaints: IO[bytes]) -> LoquelaError:
    complaints.seek(0)
    lines = complaints.read().decode("utf-8", "replace").strip().splitlines()
    said = lines[-1][:LONGEST_COMPLAINT] if lines else ""
    if code == -signal.SIGXCPU:
        return _failed(job, f"it used more than {job.limits.cpu_seconds} seconds of processor time")
    if code < 0:
        return _failed(job, f"it was ended by {signal.Signals(-code).name}; it said: {said or 'nothing'}")
    return _failed(job, f"exit code {code}: {said or 'it said nothing'}")


def _failed(job: LoadJob, why: str) -> LoquelaError:
    return ProofError(
        ErrorCode.INFERENCE_FAILED,
        f"the process that runs {job.bundle} gave no measurement: {why}",
        "try the bundle by hand: loquela generate BUNDLE; if memory or time ran out, raise deploy.limits",
        details={"path": str(job.bundle)},
    )
