"""The process that reads documents: `python -m loquela.data.documents.reading_process MEMORY_MB`.

It takes one request a line from standard input and answers each with eight bytes of length (big endian) and a JSON
reply. It ends when its input ends, when a document takes more time than it may, or when memory runs out.
"""

from __future__ import annotations

import math
import os
import resource
import signal
import sys

import psutil

from loquela.core.errors import ErrorCode, LoquelaError, ResourceError
from loquela.data.documents.contract import LoadFailure, LoadReply, LoadRequest
from loquela.data.documents.formats import read_document

MEGABYTE = 1 << 20
GRACE_SECONDS = 2.0
LENGTH_BYTES = 8


def main() -> None:
    """Serve until the input ends."""
    memory = int(sys.argv[1]) * MEGABYTE
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # What a library prints must not stand between replies.
    replies = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    while line := sys.stdin.buffer.readline():
        request = LoadRequest.model_validate_json(line)
        _limit_time(request.options.timeout_seconds)
        reply = answer(request)
        signal.setitimer(signal.ITIMER_REAL, 0)
        raw = reply.model_dump_json().encode("utf-8")
        replies.write(len(raw).to_bytes(LENGTH_BYTES, "big") + raw)
        replies.flush()
        if reply.failure is not None and reply.failure.code == ErrorCode.OOM:
            return


def _limit_time(seconds: float) -> None:
    """Let the kernel end this process should the one that asked be gone or asleep."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    cpu = math.ceil(used.ru_utime + used.ru_stime + seconds + GRACE_SECONDS)
    resource.setrlimit(resource.RLIMIT_CPU, (cpu, resource.getrlimit(resource.RLIMIT_CPU)[1]))
    signal.setitimer(signal.ITIMER_REAL, seconds + GRACE_SECONDS)


def answer(request: LoadRequest) -> LoadReply:
    """The document, or why not; nothing that a damaged file makes a library raise goes further."""
    try:
        reply = LoadReply(document=read_document(request))
    except LoquelaError as error:
        kind = "resource" if isinstance(error, ResourceError) else "data"
        reply = _failure(kind, error.code, error.message, error.remedy)
        if reply.failure is not None:
            reply.failure.details = error.details
    except MemoryError:
        reply = _failure(
            "data",
            ErrorCode.OOM,
            f"{request.name} needs more memory than the {request.options.memory_mb} MB that a document may take",
            "raise data.documents.memory_mb, or remove the document from data.sources",
        )
    except RecursionError:
        reply = _corrupt(request, "it is nested too deeply")
    except Exception as error:  # libraries raise whatever a damaged file leads them to
        reply = _corrupt(request, f"{type(error).__name__}: {error}")
    reply.resident_mb = psutil.Process().memory_info().rss / MEGABYTE
    return reply


def _corrupt(request: LoadRequest, why: str) -> LoadReply:
    return _failure(
        "data",
        ErrorCode.CORRUPT_DATA,
        f"{request.name} is damaged: {why[:500]}",
        "open it in the program that wrote it and save it anew, or remove it from data.sources",
    )


def _failure(kind: str, code: ErrorCode, message: str, remedy: str) -> LoadReply:
    return LoadReply(failure=LoadFailure(kind=kind, code=code, message=message, remedy=remedy))


if __name__ == "__main__":
    main()
