"""Speed and memory of text generation: Loquela's runtimes against transformers and llama.cpp's own loop, one run.

    .venv/bin/python benchmarks/inference.py [--rounds 3] [--output FILE]

The model is the bilingual one of the reference recipe (2 layers of width 128, 8000 tokens, context 256) with random
weights. Every contender runs in a process of its own, on one thread, in turns: a prompt of 16 tokens and 232 greedy
tokens, five times after one to warm up. Medians over the rounds, with the lowest and the highest beside the speed.
Cold start is from the beginning of the process to its first token.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from importlib import metadata
from pathlib import Path

HERE = Path(__file__).parent / "contenders"
ENGINE = "inference_loquela.py"
CONTENDERS = {
    "Loquela, torch": (ENGINE, "run"),
    "Loquela, ONNX Runtime, float32": (ENGINE, "onnx-none"),
    "Loquela, ONNX Runtime, int8": (ENGINE, "onnx-int8"),
    "Loquela, ONNX Runtime, int4": (ENGINE, "onnx-int4"),
    "Loquela, llama.cpp, float32": (ENGINE, "gguf-none"),
    "Loquela, llama.cpp, int8": (ENGINE, "gguf-int8"),
    "Loquela, llama.cpp, int4": (ENGINE, "gguf-int4"),
    "transformers generate": ("inference_transformers.py", "run"),
    "llama.cpp server, int8": ("inference_llama_cpp.py", "gguf-int8"),
}
LIBRARIES = ("torch", "transformers", "onnxruntime", "xllamacpp", "numpy")
ENVIRONMENT = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}


def run(script: str, *arguments: str, timeout_seconds: float) -> str | None:
    """What a script writes, run in a fresh process; None, and the end of its complaint on stderr, when it fails."""
    command = [sys.executable, str(HERE / script), *arguments]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=timeout_seconds, check=False, env=os.environ | ENVIRONMENT
        )
    except subprocess.TimeoutExpired:
        print(f"  {script} {arguments}: no result in {timeout_seconds:.0f} s", file=sys.stderr)
        return None
    if done.returncode:
        print(f"  {script} {arguments} failed:\n{done.stderr[-1500:]}", file=sys.stderr)
        return None
    return done.stdout


def measure(fixture: Path, rounds: int, timeout_seconds: float) -> dict[str, list[dict[str, float | None]]]:
    """The reports of every contender, taken in turns."""
    reports: dict[str, list[dict[str, float | None]]] = {name: [] for name in CONTENDERS}
    for _ in range(rounds):
        for name, (script, folder) in CONTENDERS.items():
            written = run(script, str(fixture / folder), timeout_seconds=timeout_seconds)
            if written is not None:
                line = next(line for line in written.splitlines() if line.startswith('{"tokens_per_second"'))
                reports[name].append(json.loads(line))
    return reports


def middle(reports: list[dict[str, float | None]], key: str) -> float | None:
    values = [value for report in reports if (value := report.get(key)) is not None]
    return statistics.median(values) if values else None


def show(reports: dict[str, list[dict[str, float | None]]]) -> list[dict[str, float | str | None]]:
    """A table for people, fastest first; the same as rows."""
    rows: list[dict[str, float | str | None]] = []
    for name, found in reports.items():
        if found:
            speeds = [report["tokens_per_second"] for report in found]
            row = {key: middle(found, key) for key in found[0]}
            rows.append({"name": name, **row, "slowest": min(speeds), "fastest": max(speeds)})
    rows.sort(key=lambda row: -row["tokens_per_second"])
    print(f"{'':34}{'tokens/s':>9} {'(range)':>13} {'p50 ms':>7} {'p95 ms':>7} {'RSS MB':>7} {'peak':>6} {'cold s':>7}")
    for row in rows:
        spread = f"({row['slowest']:.0f}-{row['fastest']:.0f})"
        times = " ".join(f"{'-':>7}" if row[key] is None else f"{row[key]:7.3f}" for key in ("p50_ms", "p95_ms"))
        memory = f"{row['rss_mb']:7.0f} {row['peak_mb']:6.0f} {row['cold_start_seconds']:7.2f}"
        print(f"{row['name']:34}{row['tokens_per_second']:9.0f} {spread:>13} {times} {memory}")
    return rows


def machine() -> dict[str, str | int | None]:
    """What the numbers were taken on."""
    cpuinfo = Path("/proc/cpuinfo")
    names = [line.partition(":")[2].strip() for line in cpuinfo.read_text().splitlines() if "model name" in line]
    versions = {name: metadata.version(name) for name in LIBRARIES}
    return {"processor": names[0] if names else platform.processor(), "cores": os.cpu_count(), **versions}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--timeout", type=float, default=300, help="seconds per process")
    parser.add_argument("--output", type=Path, help="write the results as JSON too")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        fixture = Path(folder)
        if run("inference_fixture.py", folder, timeout_seconds=options.timeout) is None:
            raise SystemExit("the model to measure could not be made")
        about = machine()
        print(", ".join(f"{key} {value}" for key, value in about.items()))
        rows = show(measure(fixture, options.rounds, options.timeout))
    if options.output:
        options.output.parent.mkdir(parents=True, exist_ok=True)
        options.output.write_text(json.dumps({"machine": about, "contenders": rows}, indent=2) + "\n")


if __name__ == "__main__":
    main()
