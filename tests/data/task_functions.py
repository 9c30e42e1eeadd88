"""Functions that the tests give to tasks."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

from pydantic import JsonValue

from loquela.core.errors import DataError, ErrorCode

Arguments = dict[str, JsonValue]


def square(arguments: Arguments, output: Path, between: Callable[[], None]) -> Arguments:
    """Write the square of `number`, and a line into `log` for every time this was done."""
    between()
    with Path(str(arguments["log"])).open("a") as log:
        log.write(f"{arguments['number']} {os.getpid()}\n")
    time.sleep(float(str(arguments.get("seconds", 0))))
    number = int(str(arguments["number"]))
    (output / "square.txt").write_text(str(number * number))
    return {"square": number * number}


def refuse(arguments: Arguments, output: Path, between: Callable[[], None]) -> Arguments:
    """A task that cannot be done."""
    raise DataError(ErrorCode.CORRUPT_DATA, "part 3 of the made-up data is damaged", "mend part 3", details={"part": 3})


def stumble(arguments: Arguments, output: Path, between: Callable[[], None]) -> Arguments:
    """A bug."""
    return {"square": 1 // int(str(arguments["number"]))}


def die_once(arguments: Arguments, output: Path, between: Callable[[], None]) -> Arguments:
    """Kill the process the first time (`log` tells), then do the work."""
    log = Path(str(arguments["log"]))
    times = len(log.read_text().splitlines()) if log.exists() else 0
    facts = square(arguments, output, between)
    if times < int(str(arguments.get("deaths", 1))):
        os.kill(os.getpid(), signal.SIGKILL)
    return facts


def until_stopped(arguments: Arguments, output: Path, between: Callable[[], None]) -> Arguments:
    """Work that ends only when it is asked to."""
    Path(str(arguments["log"])).write_text("begun")
    for _ in range(600):
        between()
        time.sleep(0.05)
    return {}
