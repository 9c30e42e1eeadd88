"""Every format and quantisation of three trained models in one table: size, parity, speed, memory, or why not.

    .venv/bin/python benchmarks/export.py [MODEL …] [--output FILE] [--tokens 4096]

Without MODEL (a run or a model folder) three are made first, in some minutes: a transformer and an LSTM, trained on
the built-in stories, and the adapter of `loquela demo finetune`. Each export is made with no limits on parity, so that
every combination is measured; what a format cannot hold is listed with its code and reason. Speed and memory are those
of a fresh process that opens the bundle and writes 200 tokens greedily: milliseconds a token (median, p95), resident
and peak memory after it, on one core. FILE gets JSON, and the tables as Markdown beside it.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import psutil

FORMATS = ("safetensors", "onnx", "torchscript", "gguf")
QUANTIZATIONS = ("none", "int8", "int4")
WRITTEN_TOKENS = 200
WARM_UP = 20
RECIPE = """\
schema_version: 1
name: {family}
output_directory: {directory}
data: {{sources: ["builtin:stories"], stories: 3000}}
tokenizer: {{method: bpe, vocab_size: 2000}}
model: {{family: {family}, num_layers: 2, d_model: 128, max_sequence_length: 128{more}}}
train: {{max_steps: {steps}, learning_rate: 3.0e-3}}
"""
SHAPES = {"transformer": ", num_heads: 4, dim_feedforward: 512", "lstm": ""}
STEPS = {"transformer": 500, "lstm": 500}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", metavar="MODEL")
    parser.add_argument("--output", type=Path, metavar="FILE")
    parser.add_argument("--tokens", type=int, default=4096, help="of held-out text")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.serve:
        print(json.dumps(serve(Path(asked.models[0]))))
        return
    with tempfile.TemporaryDirectory() as folder:
        models = [Path(model) for model in asked.models] or three_models(Path(folder))
        results = []
        for model in models:
            for result in of_model(model, asked.tokens):
                print(json.dumps(result), file=sys.stderr, flush=True)
                results.append(result)
    shown = "\n".join(tables(results)) + "\n"
    print(shown)
    if asked.output:
        asked.output.write_text(json.dumps(results, indent=1) + "\n")
        asked.output.with_suffix(".md").write_text(shown)


def three_models(folder: Path) -> list[Path]:
    """A transformer and an LSTM that were trained, and an adapter on another transformer."""
    made = []
    for family, more in SHAPES.items():
        recipe = folder / f"{family}.yaml"
        recipe.write_text(RECIPE.format(family=family, directory=folder, more=more, steps=STEPS[family]))
        loquela("train", str(recipe), "-q")
        made.append(next((folder / "runs").glob(f"{family}-*")) / "final")
    loquela("demo", "finetune", "--directory", str(folder / "demo"), "-q")
    return [*made, next((folder / "demo").glob("**/runs/*/adapter"))]


def loquela(*arguments: str) -> None:
    subprocess.run([sys.executable, "-m", "loquela", *arguments], check=True, stdout=subprocess.DEVNULL)


def of_model(
    path: Path, tokens: int, formats: Sequence[str] = FORMATS, quantizations: Sequence[str] = QUANTIZATIONS
) -> Iterator[dict]:
    """One row a combination, as it is measured or refused."""
    from loquela.core.errors import LoquelaError
    from loquela.export.exporting import Export
    from loquela.export.source import find_model
    from loquela.monitoring.events import SilentBus
    from loquela.recipe.export_section import ExportSection, ExportTarget, ParityLimits
    from loquela.runs.export_inputs import export_inputs

    source = find_model(path)
    _, held_out = export_inputs(source.run)
    any_parity = ParityLimits(max_mean_kl=1e9, min_top1_agreement=0, max_loss_increase=1e9)
    section = ExportSection(held_out_tokens=tokens, limits=any_parity, limits_int8=any_parity, limits_int4=any_parity)
    with tempfile.TemporaryDirectory() as folder:
        for form in formats:
            for quantize in quantizations:
                target = ExportTarget.model_validate({"format": form, "quantize": quantize})
                row = {"model": source.name, "role": source.role, "format": form, "quantize": quantize}
                began = time.perf_counter()
                try:
                    bundle = Export(source, target, Path(folder) / target.name, section, held_out, SilentBus()).run()
                except LoquelaError as error:
                    yield row | {"refused": error.code.value, "reason": error.message}
                    continue
                seconds = time.perf_counter() - began
                yield row | {"export_seconds": seconds, **parity(bundle.directory), **measured(bundle.directory)}


def parity(bundle: Path) -> dict:
    """What the export's own report says."""
    from loquela.export.report import read_report

    report = read_report(bundle)
    logits, tokens = report.logits, report.tokenizer
    same = sum(each.same for each in report.continuations)
    return {
        "family": report.family,
        "scheme": report.scheme,
        "held_out": logits.text,
        "mb": report.model_bytes / 1e6,
        "reference_mb": report.reference_bytes / 1e6,
        "texts_in_the_same_tokens": tokens.equal,
        "texts": tokens.strings,
        "max_logit_difference": logits.max_logit_difference,
        "mean_kl": logits.mean_kl,
        "top1_agreement": logits.top1_agreement,
        "loss_increase": logits.loss_increase,
        "reference_bits_per_byte": logits.reference_bits_per_byte,
        "bits_per_byte_increase": logits.bits_per_byte - logits.reference_bits_per_byte,
        "greedy_same": same / sum(len(each.reference_ids) for each in report.continuations),
    }


def measured(bundle: Path) -> dict:
    """What a fresh process says that serves the bundle on one core."""
    core = sorted(os.sched_getaffinity(0))[-1:]
    done = subprocess.run(
        [sys.executable, __file__, str(bundle), "--serve"],
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
        preexec_fn=lambda: os.sched_setaffinity(0, core),
    )
    return json.loads(done.stdout.splitlines()[-1])


def serve(directory: Path) -> dict:
    """Open the bundle, write, and tell."""
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


COLUMNS = (
    ("MB", "mb", ".2f"), ("same tokens", "texts_in_the_same_tokens", "d"), ("max logit", "max_logit_difference", ".2g"),
    ("mean KL", "mean_kl", ".2g"), ("top-1", "top1_agreement", ".2%"), ("bits/byte +", "bits_per_byte_increase", ".4f"),
    ("greedy", "greedy_same", ".0%"), ("ms/token", "ms_per_token", ".3f"), ("p95 ms", "p95_ms", ".3f"),
    ("RSS MB", "rss_mb", ".0f"), ("peak MB", "peak_mb", ".0f"),
)  # fmt: skip


def tables(results: list[dict]) -> Iterator[str]:
    """A table a model, as Markdown."""
    for model in dict.fromkeys(result["model"] for result in results):
        rows = [each for each in results if each["model"] == model]
        done = [each for each in rows if "refused" not in each]
        if done:
            first = done[0]
            weights = f"{first['reference_mb']:.2f} MB of weights, {first['reference_bits_per_byte']:.4f} bits per byte"
            yield f"**{first['family']}, {first['role']}** ({weights}), on {first['held_out']}:\n"
        yield "| | " + " | ".join(title for title, _, _ in COLUMNS) + " |"
        yield "|---|" + "---:|" * len(COLUMNS)
        for row in done:
            cells = " | ".join(f"{row[key]:{form}}" for _, key, form in COLUMNS)
            yield f"| {row['format']}, {row['quantize']} | {cells} |"
        yield ""
        for row in rows:
            if "refused" in row:
                yield f"- {row['format']}, {row['quantize']}: `{row['refused']}`, {row['reason'].partition(': ')[2]}"
        yield ""


if __name__ == "__main__":
    main()
