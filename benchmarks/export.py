"""Every format and quantisation of trained models in one table: size, parity, latency, memory; prints it and JSON.

    .venv/bin/python benchmarks/export.py MODEL [MODEL …] [--json FILE] [--tokens 4096]

MODEL is a run or a model folder. Each export is made with no limits on parity, so that every combination is measured;
what a format cannot hold is listed with its reason. Latency and memory are those of a fresh process that opens the
bundle and writes 200 tokens greedily: milliseconds a token (median, p95), resident and peak memory after it.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psutil

FORMATS = ("safetensors", "onnx", "torchscript", "gguf")
QUANTIZATIONS = ("none", "int8", "int4")
WRITTEN_TOKENS = 200
WARM_UP = 20


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("models", nargs="+")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--tokens", type=int, default=4096)
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.serve:
        print(json.dumps(serve(Path(asked.models[0]))))
        return
    results: list[dict] = []
    for model in asked.models:
        for result in of_model(Path(model), asked.tokens):
            print(json.dumps(result), file=sys.stderr, flush=True)
            results.append(result)
            if asked.json:
                asked.json.write_text(json.dumps(results, indent=1) + "\n")
    show(results)


def of_model(path: Path, tokens: int) -> Iterator[dict]:
    from loquela.cli.export import settings_of
    from loquela.core.errors import LoquelaError
    from loquela.export.exporting import Export
    from loquela.export.report import read_report
    from loquela.export.source import find_model
    from loquela.monitoring.events import SilentBus
    from loquela.recipe.export_section import ExportSection, ExportTarget, ParityLimits

    source = find_model(path)
    _, shards = settings_of(source.run)
    any_parity = ParityLimits(max_mean_kl=1e9, min_top1_agreement=0, max_loss_increase=1e9)
    section = ExportSection(held_out_tokens=tokens, limits=any_parity, limits_int8=any_parity, limits_int4=any_parity)
    with tempfile.TemporaryDirectory() as folder:
        for form in FORMATS:
            for quantize in QUANTIZATIONS:
                target = ExportTarget(format=form, quantize=quantize)
                row = {"model": source.name, "format": form, "quantize": quantize}
                began = time.perf_counter()
                try:
                    bundle = Export(source, target, Path(folder) / target.name, section, shards, SilentBus()).run()
                except LoquelaError as error:
                    yield row | {"refused": error.message}
                    continue
                seconds = time.perf_counter() - began
                report = read_report(bundle.directory)
                logits = report.logits
                same = sum(each.same for each in report.continuations)
                yield row | {
                    "family": report.family,
                    "scheme": report.scheme,
                    "export_seconds": round(seconds, 2),
                    "mb": report.model_bytes / 1e6,
                    "reference_mb": report.reference_bytes / 1e6,
                    "max_logit_difference": logits.max_logit_difference,
                    "mean_kl": logits.mean_kl,
                    "top1_agreement": logits.top1_agreement,
                    "loss": logits.loss,
                    "loss_increase": logits.loss_increase,
                    "bits_per_byte": logits.bits_per_byte,
                    "greedy_same": same / sum(len(each.reference_ids) for each in report.continuations),
                    **measured(bundle.directory),
                }


def measured(bundle: Path) -> dict:
    """What a fresh process says that serves the bundle."""
    done = subprocess.run(
        [sys.executable, __file__, str(bundle), "--serve"], capture_output=True, text=True, check=True, timeout=300
    )
    return json.loads(done.stdout.splitlines()[-1])


def serve(directory: Path) -> dict:
    from loquela.inference.open import open_engine

    began = time.perf_counter()
    runtime = open_engine(directory).runtime
    token = int(runtime.start([5]).argmax())
    cold = time.perf_counter() - began
    taken: list[float] = []
    length = 1
    while len(taken) < WRITTEN_TOKENS + WARM_UP:
        before = time.perf_counter()
        if length == runtime.context:
            token, length = int(runtime.start([5]).argmax()), 1
        else:
            token, length = int(runtime.step(token).argmax()), length + 1
        taken.append((time.perf_counter() - before) * 1000)
    taken = taken[WARM_UP:]
    return {
        "ms_per_token": statistics.median(taken),
        "p95_ms": statistics.quantiles(taken, n=20)[-1],
        "open_ms": cold * 1000,
        "rss_mb": psutil.Process().memory_info().rss / 1e6,
        "peak_mb": peak_mb(),
        "torch_loaded": "torch" in sys.modules,
    }


def peak_mb() -> float:
    """Of this program alone: getrusage would count what the parent held before it started this one."""
    status = Path("/proc/self/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024 / 1e6


def show(results: list[dict]) -> None:
    columns = (
        ("MB", "mb", ".2f"), ("max logit", "max_logit_difference", ".2g"), ("mean KL", "mean_kl", ".2g"),
        ("top-1", "top1_agreement", ".2%"), ("loss +", "loss_increase", "+.4f"), ("bits/byte", "bits_per_byte", ".4f"),
        ("greedy", "greedy_same", ".0%"), ("ms/token", "ms_per_token", ".3f"), ("p95 ms", "p95_ms", ".3f"),
        ("RSS MB", "rss_mb", ".0f"), ("peak MB", "peak_mb", ".0f"),
    )  # fmt: skip
    for model in dict.fromkeys(result["model"] for result in results):
        print(f"\n{model}\n")
        print("| format | " + " | ".join(title for title, _, _ in columns) + " |")
        print("|---|" + "---:|" * len(columns))
        for result in (each for each in results if each["model"] == model):
            name = f"{result['format']} {result['quantize']}"
            if "refused" in result:
                print(f"| {name} | refused: {result['refused'].partition(': ')[2]} |" + " |" * (len(columns) - 1))
            else:
                print(f"| {name} | " + " | ".join(f"{result[key]:{form}}" for _, key, form in columns) + " |")


if __name__ == "__main__":
    main()
