"""What is measured streams to disk line by line, so that a killed evaluation goes on where it was.

`progress.json` says what the lines beside it belong to; lines of anything else are thrown away before the first.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Generic, TypeVar

from pydantic import JsonValue, ValidationError

from loquela.artifacts.manifest import MANIFEST_NAME, corrupt
from loquela.core.atomic import append_line, write_bytes, write_json
from loquela.core.model import BoundaryModel
from loquela.evaluation.tuned.contracts import Answer, ForgettingScore, HarnessScore, RowLoss

OUTPUTS_NAME, LOSSES_NAME = "outputs.jsonl", "losses.jsonl"
FORGETTING_NAME, HARNESS_NAME = "forgetting.jsonl", "harness.jsonl"
PROGRESS_NAME = "progress.json"
ROWS_NAME = "rows.jsonl"

Line = TypeVar("Line", bound=BoundaryModel)


class LineFile(Generic[Line]):
    """One JSON object a line; opening drops from the first damaged line on, as a kill in mid-write leaves it."""

    def __init__(self, path: Path, kind: type[Line]) -> None:
        self.path = path
        self.lines: list[Line] = []
        if path.is_file():
            self.lines, whole = _whole_lines(path, kind)
            if whole < path.stat().st_size:
                write_bytes(path, path.read_bytes()[:whole])

    def add(self, lines: Sequence[Line]) -> None:
        """Append in one write; ResourceError when the file system refuses."""
        append_line(self.path, "\n".join(line.model_dump_json() for line in lines))
        self.lines += lines


def read_lines(path: Path, kind: type[Line]) -> list[Line]:
    """The lines of a finished file; DataError(CORRUPTION) when it is not there, or one of them is damaged."""
    lines, whole = _whole_lines(path, kind) if path.is_file() else ([], -1)
    if whole < 0 or whole < path.stat().st_size:
        raise corrupt(path.parent, f"{path.name} is missing or has a damaged line")
    return lines


def _whole_lines(path: Path, kind: type[Line]) -> tuple[list[Line], int]:
    """The lines before the first damaged one, and how many bytes they are."""
    lines: list[Line] = []
    whole = 0
    for text in path.read_bytes().splitlines(keepends=True):
        try:
            found = kind.model_validate_json(text)
        except ValidationError:
            break
        if not text.endswith(b"\n"):
            break
        lines.append(found)
        whole += len(text)
    return lines, whole


class Records:
    """The streamed files of one comparison in `directory`; `kept` says whether they were there already.

    `belongs_to` is everything that decides what the lines say: models, rows, limits.
    """

    def __init__(self, directory: Path, belongs_to: dict[str, JsonValue]) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        # An older comparison's manifest would vouch for files that change now.
        (directory / MANIFEST_NAME).unlink(missing_ok=True)
        progress = directory / PROGRESS_NAME
        self.kept = progress.is_file() and _read(progress) == belongs_to
        if not self.kept:
            for name in (OUTPUTS_NAME, LOSSES_NAME, FORGETTING_NAME, HARNESS_NAME):
                (directory / name).unlink(missing_ok=True)
            write_json(progress, belongs_to)
        self.answers = LineFile(directory / OUTPUTS_NAME, Answer)
        self.losses = LineFile(directory / LOSSES_NAME, RowLoss)
        self.forgetting = LineFile(directory / FORGETTING_NAME, ForgettingScore)
        self.harness = LineFile(directory / HARNESS_NAME, HarnessScore)


def _read(path: Path) -> JsonValue:
    try:
        found: JsonValue = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        return None
    return found
