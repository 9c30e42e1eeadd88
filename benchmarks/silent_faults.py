"""Faults of the kind "it ran, the loss went down, the result is wrong", in Loquela and in plain TRL.

    .venv/bin/python benchmarks/silent_faults.py [--only NAME …] [--ours] [--out FILE.json] [--markdown FILE.md]

Each fault is planted twice: in a whole run of Loquela (bad input through the pipeline; faults of code in the very
parts that train) and in a training with TRL's SFTTrainer with its defaults. Models have 50 000 random weights. Exits
with 1 when a fault was not caught by the proof or error code that should name it.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import TypeVar

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent / "tests")]

from planted.contract import Fault, Ours, Theirs  # noqa: E402
from planted.faults import all_faults  # noqa: E402
from planted.page import outcome, page, summary  # noqa: E402

from toy_bases import toy_base  # noqa: E402

Result = TypeVar("Result")
PACKAGES = ("torch", "transformers", "trl", "peft", "bitsandbytes", "datasets")


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--only", nargs="*", default=[])
    parser.add_argument("--ours", action="store_true", help="leave TRL out")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--markdown", type=Path)
    asked = parser.parse_args()
    warnings.simplefilter("ignore")
    rows = []
    for fault in all_faults():
        if asked.only and fault.name not in asked.only:
            continue
        row = measured(fault, theirs=not asked.ours)
        rows.append(row)
        print(line(row), flush=True)
    report = {
        "versions": {name: version(name) for name in PACKAGES},
        "python": platform.python_version(),
        "names": [row["name"] for row in rows],
        "faults": rows,
    }
    print(summary(rows))
    if asked.out:
        asked.out.write_text(json.dumps(report, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    if asked.markdown:
        asked.markdown.write_text(page(report), encoding="utf-8")
    return 0 if all(row["named"] for row in rows) else 1


def measured(fault: Fault, *, theirs: bool) -> dict[str, object]:
    ours, our_seconds = in_folder(fault.ours)
    row: dict[str, object] = {
        "name": fault.name,
        "what": fault.what,
        "expected": fault.expected,
        "named": named(fault, ours),
        "loquela": {"by": ours.by, "when": ours.when, "says": ours.says, "seconds": our_seconds},
    }
    if theirs:
        found, seconds = in_folder(fault.theirs)
        row["trl"] = {
            "ran": found.ran,
            "warned": found.warned,
            "silent": found.silent,
            "says": found.says,
            "losses": list(found.losses),
            "seconds": seconds,
        }
    return row


def named(fault: Fault, ours: Ours) -> bool:
    """Whether the proof or code that should name the fault is among those that did."""
    return ours.by is not None and fault.expected in ours.by.split(", ")


def in_folder(work: Callable[[Path], Result]) -> tuple[Result, float]:
    started = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="planted-") as folder:
        found = work(Path(folder))
    cleaned = _without(found, folder)
    return cleaned, round(time.perf_counter() - started, 2)


def _without(found: Result, folder: str) -> Result:
    """Messages without temporary folders, so that two runs compare."""
    bases = f"{toy_base().parent}/"
    if isinstance(found, Ours):
        return Ours(found.by, found.when, found.says.replace(folder + "/", "").replace(bases, ""))
    if isinstance(found, Theirs):
        return Theirs(found.ran, found.warned, found.says.replace(folder + "/", "").replace(bases, ""), found.losses)
    return found


def line(row: dict[str, object]) -> str:
    ours, trl = row["loquela"], row.get("trl")
    said = f"{row['name']:<26} {ours['by'] or 'NOT CAUGHT':<28} {ours['when'] or '':<16} {ours['seconds']:5.1f} s"
    return said if trl is None else f"{said}   TRL: {outcome(trl)}"


if __name__ == "__main__":
    sys.exit(main())
