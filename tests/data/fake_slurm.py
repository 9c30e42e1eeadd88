"""A cluster of one machine: Slurm's commands, which run array jobs here, at most two elements at once.

Used as `python fake_slurm.py COMMAND FOLDER ARGUMENTS…`; FOLDER keeps a file for every job with its process id.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path


def sbatch(folder: Path, arguments: list[str]) -> int:
    if (folder / "refuse").exists():
        sys.stderr.write("sbatch: error: invalid partition specified\n")
        return 1
    script = Path(arguments[-1]).read_text()
    number = len(list(folder.glob("*.job"))) + 1
    copy = folder / f"{number}.sh"
    copy.write_text(script)
    array = re.search(r"#SBATCH --array=0-(\d+)", script)
    if "dependency" in script or array is None:
        (folder / f"{number}.job").write_text("")  # the job that merges statistics is never due here
    else:
        command = [sys.executable, __file__, "elements", str(folder), str(copy), array[1]]
        with (folder / f"{number}.log").open("wb") as log:
            process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
        (folder / f"{number}.job").write_text(str(process.pid))
    sys.stdout.write(f"Submitted batch job {number}\n")
    return 0


def elements(folder: Path, arguments: list[str]) -> int:
    script, last = arguments[0], int(arguments[1])
    running: list[subprocess.Popen] = []
    for index in range(last + 1):
        while len(running) >= 2:
            running = [process for process in running if process.poll() is None]
        environment = {**os.environ, "SLURM_ARRAY_TASK_ID": str(index), "SLURM_NODELIST": "localhost"}
        running.append(subprocess.Popen(["bash", script], env=environment))
    for process in running:
        process.wait()
    return 0


def squeue(folder: Path, arguments: list[str]) -> int:
    job = folder / f"{arguments[-1]}.job"
    pid = job.read_text() if job.exists() else ""
    if pid and Path(f"/proc/{pid}/stat").exists() and Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z":
        sys.stdout.write(f"{arguments[-1]} loquela-data R\n")
        return 0
    sys.stderr.write("slurm_load_jobs error: Invalid job id specified\n")
    return 1


def scancel(folder: Path, arguments: list[str]) -> int:
    os.killpg(int((folder / f"{arguments[-1]}.job").read_text()), signal.SIGTERM)
    return 0


def srun(folder: Path, arguments: list[str]) -> int:
    start = arguments.index("launch_pickled_pipeline")
    return subprocess.run(arguments[start:], check=False).returncode


def scontrol(folder: Path, arguments: list[str]) -> int:
    sys.stdout.write("localhost\n")  # show hostnames LIST
    return 0


def install(folder: Path) -> Path:
    """Put the commands into `folder`/bin; the folder for PATH."""
    place = folder / "bin"
    place.mkdir(parents=True)
    for command in ("sbatch", "squeue", "scancel", "scontrol", "srun"):
        path = place / command
        path.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{__file__}" {command} "{folder}" "$@"\n')
        path.chmod(0o755)
    return place


if __name__ == "__main__":
    sys.exit(globals()[sys.argv[1]](Path(sys.argv[2]), sys.argv[3:]))
