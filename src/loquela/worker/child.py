"""What runs in a job's own process: `python -m loquela.worker.child FOLDER PARENT_PID GRACE_SECONDS`.

Exit codes are those of the command line: 0 done, 75 stopped with everything saved, the others by whose fault it was.
One is its own: 74, the disk is so full that not even the error could be written down.
"""

from __future__ import annotations

import errno
import sys
from contextlib import suppress
from pathlib import Path

from loquela.core.atomic import write_error, write_text
from loquela.core.errors import ErrorCode, InternalError, LoquelaError, ResourceError
from loquela.jobs.records import JsonObject
from loquela.worker.folders import ERROR, failure_of, keep_result, read_request
from loquela.worker.kinds import performer_of
from loquela.worker.parent_death import die_with

DISK_FULL = 74
FULL = (errno.ENOSPC, errno.EDQUOT)


def main(arguments: list[str]) -> int:
    """Do what the folder asks for; its result or its error is written there."""
    folder, parent, grace_seconds = Path(arguments[0]), int(arguments[1]), float(arguments[2])
    die_with(parent, grace_seconds)
    try:
        request = read_request(folder)
        result: JsonObject = performer_of(request.kind)(request)
        keep_result(request, result)
    except LoquelaError as error:
        return _told(folder, error)
    except OSError as error:
        if error.errno not in FULL:
            _told(folder, _bug(error))
            raise
        return _told(folder, write_error(error, folder))
    except Exception as error:
        _told(folder, _bug(error))
        raise
    return 0


def _told(folder: Path, error: LoquelaError) -> int:
    """Leave the error for the supervisor; the exit code that says whose fault it was."""
    try:
        write_text(folder / ERROR, failure_of(error).model_dump_json(indent=1) + "\n")
    except ResourceError as unwritten:
        if unwritten.code is ErrorCode.DISK_FULL:
            return DISK_FULL
        raise
    with suppress(OSError):
        sys.stderr.write(f"{error}\n")
    return error.exit_code


def _bug(error: Exception) -> InternalError:
    return InternalError(
        ErrorCode.INTERNAL, f"{type(error).__name__}: {error}", "report this as a bug, with the job's output.log"
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
