"""All measurements of the data side, one after the other, on the texts of a folder (make bench-data).

    .venv/bin/python benchmarks/data.py [FOLDER] [--material FOLDER] [--datatrove PYTHON] [--megabytes 10,100,2000] \
        [--output FILE]

Without FOLDER the texts are stories made here. Each part is a script of its own and says what it compares:
data_validation.py (validator, filters and signatures against datatrove's), data_encoding.py (encoder against Hugging
Face tokenizers and tiktoken, preprocessor), data_documents.py (PDF pages against pypdf and pdfminer.six; with
--material also real ones), data_memory.py (peak memory while the corpus grows).
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from importlib import metadata
from pathlib import Path

from data_memory import write_text

HERE = Path(__file__).parent
STORY_MEGABYTES = 16
PACKAGES = ("numpy", "tokenizers", "tokie", "tiktoken", "hyperscan", "google-re2", "pypdfium2", "pypdf", "pdfminer.six")


def versions() -> dict[str, str]:
    found = {}
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            found[package] = "not installed"
    return found


def run_part(script: str, *arguments: str) -> object:
    """Run one script, show what it shows; its JSON, from its file or its last line."""
    print(f"\n── {script} " + "─" * (70 - len(script)), flush=True)
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "result.json"
        command = [sys.executable, str(HERE / script), *arguments]
        if script != "data_validation.py":
            command += ["--output", str(output)]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        lines = done.stdout.splitlines()
        if output.exists():
            print("\n".join(lines), flush=True)
            return json.loads(output.read_text())
        print("\n".join(lines[:-1]), flush=True)
        return json.loads(lines[-1])


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--material", type=Path)
    parser.add_argument("--datatrove")
    parser.add_argument("--megabytes", default="10,100,2000")
    parser.add_argument("--output", type=Path)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = asked.folder or Path(temporary)
        if asked.folder is None:
            write_text(folder, STORY_MEGABYTES)
        peer = ["--datatrove", asked.datatrove] if asked.datatrove else []
        found: dict[str, object] = {
            "machine": {"processor": platform.processor(), "cores": os.cpu_count(), **versions()},
            "validation": run_part("data_validation.py", str(folder), *peer),
            "encoding": run_part("data_encoding.py", str(folder)),
        }
        material = ["--material", str(asked.material)] if asked.material else []
        found["documents"] = run_part("data_documents.py", *material)
        found["memory"] = run_part("data_memory.py", "--megabytes", asked.megabytes)
    if asked.output:
        asked.output.write_text(json.dumps(found, indent=2, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
