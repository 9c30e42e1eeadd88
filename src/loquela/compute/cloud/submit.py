"""SkyPilot and ssh as they are installed here: rent, look for the marker, fetch, prove, release.

SkyPilot lives in an environment of its own, since its pins meet nobody else's: its command is `sky` on the PATH, or
what LOQUELA_SKY names. It also tells ssh how to reach a machine by its cluster's name.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import tarfile
import time
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from loquela.compute.cloud.done import DONE_NAME, RELEASED_NAME, Done, check_results, read_done
from loquela.compute.cloud.staging import OUTPUT
from loquela.compute.cloud.task import STATE
from loquela.core.atomic import write_error
from loquela.core.errors import DataError, ErrorCode, ResourceError

SKY_VARIABLE = "LOQUELA_SKY"
WORKDIR = "sky_workdir"
POLL_SECONDS = 30.0
COPY_BYTES = 1 << 20


def find_sky() -> str:
    """SkyPilot's command; ResourceError(MISSING_EXTRA) when there is none."""
    found = os.environ.get(SKY_VARIABLE) or shutil.which("sky")
    if not found:
        raise ResourceError(
            ErrorCode.MISSING_EXTRA,
            "renting a machine needs SkyPilot, and no command `sky` is on the PATH",
            'python -m venv ~/sky && ~/sky/bin/pip install "skypilot[runpod]" && export '
            f"{SKY_VARIABLE}=~/sky/bin/sky; or look at the task alone: --dry-run",
        )
    return found


def submit(sky: str, task: Path, cluster: str, secrets: Sequence[str]) -> None:
    """Rent the machine and start the task on it; secrets go by name, their values stay in the environment.

    ResourceError(ALLOCATION_TIMEOUT) with SkyPilot's last words when it cannot.
    """
    handed = [part for name in secrets for part in ("--secret", name)]
    command = [sky, "launch", "--yes", "--detach-run", "--cluster", cluster, *handed, task.name]
    ended = subprocess.run(  # noqa: S603 (a fixed command line, no shell)
        command,
        cwd=task.parent,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    if ended.returncode:
        raise ResourceError(
            ErrorCode.ALLOCATION_TIMEOUT,
            f"SkyPilot could not start {cluster}: {_last_words(ended.stdout)}",
            f"try it by hand to see everything: cd {task.parent} && sky launch {task.name}; `sky check` tells which "
            "clouds it can reach",
            retryable=True,
        )


def wait_for_done(cluster: str, poll_seconds: float, patience: int = 20) -> Done:
    """Wait until the machine has its marker. ResourceError(NETWORK_ERROR) when it was not reached `patience` times."""
    misses = 0
    while True:
        try:
            answer = _ssh(cluster, f"cat {WORKDIR}/{STATE}/{DONE_NAME} 2>/dev/null || echo WORKING")
        except ResourceError:
            misses += 1
            if misses >= patience:
                raise
        else:
            misses = 0
            if answer.strip() != b"WORKING":
                return read_done(answer.decode("utf-8", errors="replace"))
        time.sleep(poll_seconds)


def fetch(cluster: str, done: Done, target: Path) -> Path:
    """Bring the results into the new folder `target` and prove every file; DataError(CORRUPTION) when one is wrong."""
    shutil.rmtree(target, ignore_errors=True)
    try:
        target.mkdir(parents=True)
    except OSError as error:
        raise write_error(error, target) from error
    if done.files:
        command = ["ssh", "-o", "BatchMode=yes", cluster, f"tar -C {WORKDIR}/{OUTPUT}/runs -cf - ."]
        with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as process:  # noqa: S603
            try:
                with tarfile.open(fileobj=process.stdout, mode="r|") as archive:
                    _take(archive, target)
            except (tarfile.TarError, OSError) as error:
                raise DataError(
                    ErrorCode.CORRUPTION, f"the results of {cluster} did not arrive whole: {error}", "fetch them again"
                ) from error
    check_results(target, done)
    return target


def _take(archive: tarfile.TarFile, target: Path) -> None:
    """The regular files of `archive` below the new folder `target`; links and devices are no results and stay away.

    DataError(CORRUPTION) for a name that leads elsewhere.
    """
    for member in archive:
        name = PurePosixPath(member.name)
        if name.is_absolute() or ".." in name.parts:
            raise DataError(
                ErrorCode.CORRUPTION,
                f"the results hold {member.name!r}, which leads elsewhere",
                "do not use the machine",
            )
        content = archive.extractfile(member) if member.isreg() else None
        if content is None:
            continue
        place = target / name
        place.parent.mkdir(parents=True, exist_ok=True)
        with content, place.open("xb") as stream:
            shutil.copyfileobj(content, stream, COPY_BYTES)


def release(sky: str, cluster: str) -> None:
    """Tell the guard that its results are safe, and give the machine back."""
    _ssh(cluster, f"touch {WORKDIR}/{STATE}/{RELEASED_NAME}")
    ended = subprocess.run(  # noqa: S603
        [sky, "down", "--yes", cluster],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    if ended.returncode:
        raise ResourceError(
            ErrorCode.NETWORK_ERROR,
            f"SkyPilot could not give {cluster} back: {_last_words(ended.stdout)}",
            f"its guard ends it too; make sure with: sky status, sky down {cluster}",
        )


def _ssh(cluster: str, command: str) -> bytes:
    line = ["ssh", "-o", "BatchMode=yes", "-o", "ConnectTimeout=20", cluster, command]
    ended = subprocess.run(line, stdin=subprocess.DEVNULL, capture_output=True, check=False)  # noqa: S603
    if ended.returncode:
        raise ResourceError(
            ErrorCode.NETWORK_ERROR,
            f"{cluster} cannot be reached by ssh ({shlex.quote(command)[:60]}): {_last_words(ended.stderr)}",
            "check `sky status`; when the machine is gone, its results lie in compute.cloud.results, if that was given",
            retryable=True,
        )
    return ended.stdout


def _last_words(output: bytes) -> str:
    lines = [line.strip() for line in output.decode("utf-8", errors="replace").splitlines() if line.strip()]
    return lines[-1] if lines else "it said nothing"
