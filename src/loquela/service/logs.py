"""The log of a run, read from its end or followed; a line that is still being written is left for later."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import BinaryIO

from loquela.core.plain_files import open_plain

LOG = Path("logs") / "system.log"
MOST_BYTES = 2**20


def _opened(run_folder: Path) -> BinaryIO:
    """The log's file; OSError where a link would lead out of the run, whoever put it there."""
    place = run_folder / LOG
    if not place.resolve().is_relative_to(run_folder.resolve()):
        raise OSError(errno.ELOOP, "it leads out of the run", str(place))
    return open_plain(place)


def read_log(run_folder: Path, lines: int) -> list[str]:
    """The newest whole lines, at most `lines` and a mebibyte; none before the run has begun."""
    try:
        with _opened(run_folder) as stream:
            size = stream.seek(0, 2)
            stream.seek(max(0, size - MOST_BYTES))
            held = stream.read(MOST_BYTES)
    except OSError:
        return []
    whole = held[: held.rfind(b"\n") + 1].split(b"\n")[:-1]
    if size > MOST_BYTES:
        whole = whole[1:]
    return [line.decode("utf-8", "replace") for line in whole[-lines:]]


def follow_log(run_folder: Path, position: str) -> list[tuple[str, str, str]]:
    """Whole lines behind the byte `position`: (byte behind the line, "log", the line)."""
    try:
        with _opened(run_folder) as stream:
            stream.seek(int(position))
            held = stream.read(MOST_BYTES)
    except OSError:
        return []
    found = []
    at = int(position)
    for line in held[: held.rfind(b"\n") + 1].split(b"\n")[:-1]:
        at += len(line) + 1
        found.append((str(at), "log", line.decode("utf-8", "replace")))
    return found
