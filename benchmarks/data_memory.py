"""Memory while a corpus is prepared: the same recipe on 10 MB, 100 MB and 2 GB of text, each in a fresh process.

    .venv/bin/python benchmarks/data_memory.py [--megabytes 10,100,2000] [--directory FOLDER] [--output FILE]

The text is made of stories, numbered so that no two are alike. The peak is that of the process and of every process
that it started.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from loquela.artifacts.context import StageContext
from loquela.data.stage import ingest
from loquela.data.stories.story import stories
from loquela.monitoring.events import SilentBus
from loquela.recipe.schema import Recipe

BLOCK_STORIES = 2000
# A file of this size each, so that a larger corpus has more files, as real ones have.
FILE_MEGABYTES = 100


def write_text(folder: Path, megabytes: int) -> None:
    """Files of numbered stories, `megabytes` in all."""
    block = [f"{story.english}\n\n{story.spanish}" for story in stories(1, BLOCK_STORIES)]
    number, left = 0, megabytes * 10**6
    while left > 0:
        size = min(left, FILE_MEGABYTES * 10**6)
        with (folder / f"{number:04d}.txt").open("w", encoding="utf-8") as stream:
            written = turn = 0
            while written < size:
                text = f"{number} {turn}\n\n{block[turn % BLOCK_STORIES]}\n\n"
                written += stream.write(text)
                turn += 1
        left -= size
        number += 1


def measure(folder: Path) -> dict[str, float]:
    """In this process: make the corpus; megabytes of peak memory and seconds."""
    size = sum(path.stat().st_size for path in folder.glob("*.txt"))
    with tempfile.TemporaryDirectory(dir=folder.parent) as home:
        recipe = Recipe.model_validate(
            {
                "output_directory": home,
                "data": {"sources": [str(folder)], "corpus_size_mb": max(1, size // 10**6)},
                "compute": {"data_workers": 1},
            }
        )
        output = Path(home) / "corpus"
        output.mkdir()
        start = time.perf_counter()
        ingest(StageContext(recipe, SilentBus(), {}, output, Path(home)))
        seconds = time.perf_counter() - start
    peaks = [resource.getrusage(who).ru_maxrss / 1024 for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return {"megabytes": size / 1e6, "seconds": seconds, "peak_mb": max(peaks)}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--megabytes", default="10,100,2000")
    parser.add_argument("--directory", type=Path, default=Path(tempfile.gettempdir()))
    parser.add_argument("--output", type=Path)
    parser.add_argument("--measure", type=Path, help="measure this folder, in this process")
    asked = parser.parse_args()
    if asked.measure:
        print(json.dumps(measure(asked.measure)))
        return
    found = []
    for megabytes in map(int, asked.megabytes.split(",")):
        with tempfile.TemporaryDirectory(dir=asked.directory) as temporary:
            folder = Path(temporary) / "texts"
            folder.mkdir()
            write_text(folder, megabytes)
            command = [sys.executable, __file__, "--measure", str(folder)]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            found.append(json.loads(done.stdout.splitlines()[-1]))
        last = found[-1]
        speed = last["megabytes"] / last["seconds"]
        print(f"{last['megabytes']:8.0f} MB   peak {last['peak_mb']:6.0f} MB   {speed:6.1f} MB/s", flush=True)
    if asked.output:
        asked.output.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
