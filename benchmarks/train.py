"""Training speed against the Hugging Face Trainer and LitGPT: same model, batch, machine, one run.

    .venv-bench/bin/python benchmarks/train.py [--shapes seed,char,gpt2] [--rounds 3] [--output FILE]

Every contender runs in a process of its own, in turns, so that a busy moment of the machine hits all of them alike;
what counts is the ratio of medians. The ceiling is this machine's best fp32 matrix product, measured in the same run.
nanoGPT joins when the environment variable NANOGPT names a checkout of it.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
from importlib import metadata
from pathlib import Path

from shapes import SHAPES, Shape

HERE = Path(__file__).parent
CONTENDERS = {
    "loquela": ["contenders/loquela_train.py"],
    "loquela, torch kernel": ["contenders/loquela_train.py", "--kernel", "torch"],
    "Hugging Face Trainer": ["contenders/hf_trainer.py"],
    "LitGPT, compiled": ["contenders/lit_gpt.py"],
    "LitGPT, eager": ["contenders/lit_gpt.py", "--eager"],
    "nanoGPT, eager": ["contenders/nano_gpt.py"],
    "nanoGPT, compiled": ["contenders/nano_gpt.py", "--compile"],
}


def run_contender(command: list[str], shape: Shape, timeout_seconds: float) -> dict[str, float] | None:
    """One measurement in a fresh process; None when it did not end in time or failed (said on stderr)."""
    script, *options = command
    try:
        done = subprocess.run(
            [sys.executable, str(HERE / script), shape.name, *options],
            capture_output=True,
            text=True,
            timeout=timeout_seconds,
            check=False,
        )
    except subprocess.TimeoutExpired:
        print(f"  {script} {options}: no result in {timeout_seconds:.0f} s", file=sys.stderr)
        return None
    if done.returncode:
        print(f"  {script} {options} failed:\n{done.stderr[-1500:]}", file=sys.stderr)
        return None
    return json.loads(done.stdout.strip().splitlines()[-1])


def ceiling() -> dict[str, float]:
    """Best fp32 product of this machine in GFLOP/s, by PyTorch's own kernel and by oneDNN, in a fresh process."""
    code = "import json; from ceiling import measure; print(json.dumps(measure()))"
    done = subprocess.run([sys.executable, "-c", code], cwd=HERE, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shapes", default="seed,char,gpt2")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--timeout", type=float, default=600, help="seconds per process")
    parser.add_argument("--output", type=Path, help="write the results as JSON too")
    options = parser.parse_args()
    contenders = {
        name: command for name, command in CONTENDERS.items() if "nanoGPT" not in name or "NANOGPT" in os.environ
    }
    results = {"machine": machine(), "ceiling_gflops": ceiling(), "shapes": {}}
    print(f"{results['machine']['processor']}, {results['machine']['cores']} cores")
    print("fp32 products, GFLOP/s: " + ", ".join(f"{k} {v:.0f}" for k, v in results["ceiling_gflops"].items()))
    for name in options.shapes.split(","):
        results["shapes"][name] = compare(SHAPES[name], contenders, options, results["ceiling_gflops"])
        if options.output:
            options.output.parent.mkdir(parents=True, exist_ok=True)
            options.output.write_text(json.dumps(results, indent=2) + "\n")


def compare(
    shape: Shape, contenders: dict[str, list[str]], options: argparse.Namespace, best: dict[str, float]
) -> dict:
    """All contenders on one shape, in turns; prints the table as it stands after the last round."""
    from loquela.models.config import TransformerConfig
    from loquela.models.size import flops_per_token

    config = TransformerConfig(
        vocab_size=shape.vocab_size, num_layers=shape.layers, d_model=shape.d_model, num_heads=shape.heads,
        num_kv_heads=shape.heads, head_dim=shape.d_model // shape.heads, dim_feedforward=shape.feed_forward,
        max_sequence_length=shape.context,
    )  # fmt: skip
    flops = flops_per_token(config)
    rounds: dict[str, list[dict[str, float]]] = {name: [] for name in contenders}
    for _ in range(options.rounds):
        for name, command in contenders.items():
            measured = run_contender(command, shape, options.timeout)
            if measured is not None:
                rounds[name].append(measured)
    ours = statistics.median(row["tokens_per_second"] for row in rounds["loquela"])
    sizes = f"{shape.layers} layers, d {shape.d_model}, vocabulary {shape.vocab_size}, context {shape.context}"
    print(f"\n{shape.name}: {sizes}, batch {shape.batch_size}; {flops / 1e6:.2f} MFLOP a token")
    print(f"{'':<24}{'tokens/s':>10}{'min–max':>18}{'GFLOP/s':>9}{'of ceiling':>11}{'peak MB':>9}{'loquela is':>12}")
    table = {}
    for name, rows in rounds.items():
        if not rows:
            continue
        speeds = [row["tokens_per_second"] for row in rows]
        speed = statistics.median(speeds)
        table[name] = {
            "tokens_per_second": round(speed, 1),
            "minimum": round(min(speeds), 1),
            "maximum": round(max(speeds), 1),
            "gflops": round(speed * flops / 1e9, 1),
            "share_of_ceiling": round(speed * flops / 1e9 / max(best.values()), 3),
            "peak_rss_mb": round(statistics.median(row["peak_rss_mb"] for row in rows)),
            "loquela_ratio": round(ours / speed, 2),
            "rounds": len(rows),
        }
        row = table[name]
        print(f"{name:<24}{speed:>10,.0f}{min(speeds):>9,.0f}–{max(speeds):<8,.0f}{row['gflops']:>9.0f}"
              f"{row['share_of_ceiling']:>11.0%}{row['peak_rss_mb']:>9}{row['loquela_ratio']:>11.2f}×")  # fmt: skip
    return table


def machine() -> dict[str, str | int | None]:
    """Hardware and versions that the numbers belong to."""
    from loquela.runs.environment import processor_name

    packages = ("torch", "transformers", "litgpt", "numpy")
    return {
        "processor": processor_name(),
        "cores": os.cpu_count(),
        "platform": platform.platform(),
        **{package: metadata.version(package) for package in packages},
    }


if __name__ == "__main__":
    main()
