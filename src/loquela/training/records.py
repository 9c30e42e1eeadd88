"""The line files of a run that training writes, and how a resume takes back what the future had written.

    metrics.jsonl           one line per logged step and per validation
    samples.jsonl           one line per sampled prompt
    skipped_batches.jsonl   one line per step whose batch was not trained on, with its rows

Every line carries "step", the number of optimizer steps done when it was written. A run that goes on from step S
drops the lines after S, so that nothing is there twice.
"""

from __future__ import annotations

import json
from pathlib import Path

from pydantic import JsonValue

from loquela.core.atomic import append_line, write_text

METRICS_NAME = "metrics.jsonl"
SAMPLES_NAME = "samples.jsonl"
SKIPPED_NAME = "skipped_batches.jsonl"
LINE_FILES = (METRICS_NAME, SAMPLES_NAME, SKIPPED_NAME)
TRAINING_METRICS_NAME = "training_metrics.json"


def append_record(run_directory: Path, name: str, record: dict[str, JsonValue]) -> None:
    """Append one JSON object."""
    append_line(run_directory / name, json.dumps(record, ensure_ascii=False, allow_nan=False))


def read_records(run_directory: Path, name: str) -> list[dict[str, JsonValue]]:
    """All whole lines of a line file; a last line that a crash cut short is not one."""
    path = run_directory / name
    if not path.is_file():
        return []
    found = []
    # Not splitlines: texts may hold U+2028 and other signs that it takes for the end of a line.
    for line in path.read_text(encoding="utf-8", errors="replace").split("\n"):
        try:
            found.append(json.loads(line))
        except json.JSONDecodeError:
            continue
    return found


def forget_after(run_directory: Path, step: int) -> None:
    """Drop every line written after `step`, and half lines."""
    for name in LINE_FILES:
        path = run_directory / name
        if not path.is_file():
            continue
        kept = [record for record in read_records(run_directory, name) if _step(record) <= step]
        text = "".join(json.dumps(record, ensure_ascii=False, allow_nan=False) + "\n" for record in kept)
        if text.encode("utf-8") != path.read_bytes():
            write_text(path, text)


def _step(record: dict[str, JsonValue]) -> int:
    step = record.get("step")
    return step if isinstance(step, int) else 0
