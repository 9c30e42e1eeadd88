"""What runs in a job's own process: `python -m loquela.worker.child FOLDER PARENT_PID GRACE_SECONDS`.

Exit codes are those of the command line: 0 done, 75 stopped with everything saved, the others by whose fault it was.
"""

from __future__ import annotations

import sys
from pathlib import Path

from loquela.core.atomic import write_text
from loquela.core.errors import ErrorCode, InternalError, LoquelaError
from loquela.jobs.records import JsonObject
from loquela.worker.folders import ERROR, failure_of, keep_result, read_request
from loquela.worker.kinds import performer_of
from loquela.worker.parent_death import die_with


def main(arguments: list[str]) -> int:
    """Do what the folder asks for; its result or its error is written there."""
    folder, parent, grace_seconds = Path(arguments[0]), int(arguments[1]), float(arguments[2])
    die_with(parent, grace_seconds)
    try:
        request = read_request(folder)
        result: JsonObject = performer_of(request.kind)(request)
    except LoquelaError as error:
        write_text(folder / ERROR, failure_of(error).model_dump_json(indent=1) + "\n")
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    except Exception as error:
        bug = InternalError(
            ErrorCode.INTERNAL, f"{type(error).__name__}: {error}", "report this as a bug, with the job's output.log"
        )
        write_text(folder / ERROR, failure_of(bug).model_dump_json(indent=1) + "\n")
        raise
    keep_result(request, result)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
