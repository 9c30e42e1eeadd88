"""The folder in which the tasks of a stage leave their work, `<output>/tasks/<stage>-<key>/`, until the stage used it.

After a crash or a stop it stays, and the next run takes up what is done; at the stage's end it goes.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import JsonValue

from loquela.artifacts.context import StopRequest
from loquela.core.atomic import write_error
from loquela.core.digests import digest_json
from loquela.data.tasks.run import interrupted

KEY_LENGTH = 16
WAIT_SECONDS = 0.2


@contextmanager
def workplace(output_directory: Path, stage: str, settings: dict[str, JsonValue], stop: StopRequest) -> Iterator[Path]:
    """Yield the folder for `settings`, alone: another process that does the same work is waited for.

    Raises Interrupted when a stop is asked for while waiting, ResourceError when the folder cannot be made.
    """
    folder = output_directory.expanduser() / "tasks" / f"{stage}-{digest_json(settings)[:KEY_LENGTH]}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(f"{folder}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise write_error(error, folder) from error
    try:
        while not _locked(descriptor):
            if stop.requested:
                raise interrupted(stop)
            time.sleep(WAIT_SECONDS)
        folder.mkdir(parents=True, exist_ok=True)
        yield folder
        shutil.rmtree(folder, ignore_errors=True)
    finally:
        os.close(descriptor)


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
