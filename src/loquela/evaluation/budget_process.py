"""A fresh process that opens a model, writes tokens, and reports what that cost: one JSON object on stdout.

    python -m loquela.evaluation.budget_process MODEL_FOLDER [TOKENIZER_FOLDER]

It loads what inference needs and nothing else, so that its memory is that of a device which only runs the model.
"""

from __future__ import annotations

import json
import math
import os
import sys
import time
from pathlib import Path

import psutil
import torch

from loquela.compute.memory import peak_memory_bytes
from loquela.core.errors import LoquelaError
from loquela.inference.decoding import Decoding
from loquela.inference.model_engine import ModelEngine
from loquela.inference.open import open_model_engine
from loquela.inference.sampling import likeliest
from loquela.inference.scoring import start_token

WARM_UP_TOKENS = 16
MEASURED_TOKENS = 512
SECONDS_AT_MOST = 20.0
# A step of a smaller model is over before a second thread has joined in.
ONE_THREAD_PARAMETERS = 10_000_000
MEBIBYTE = 2**20


def main(arguments: list[str]) -> int:
    """Measure the model in `arguments[0]`; returns the exit code of the error, if any."""
    torch.set_num_threads(1)
    try:
        engine = open_model_engine(Path(arguments[0]), Path(arguments[1]) if len(arguments) > 1 else None)
        sys.stdout.write(json.dumps(measure_engine(engine)) + "\n")
    except LoquelaError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    return 0


def measure_engine(engine: ModelEngine) -> dict[str, float | int]:
    """Greedy tokens from the start of a document, one by one, each timed: the fields of `BudgetMeasurement`.

    At most 512 tokens or 20 seconds after the warm-up; sliding of a full window is part of the time.
    """
    parameters = sum(parameter.numel() for parameter in engine.model.parameters())
    threads = 1 if parameters <= ONE_THREAD_PARAMETERS else min(2, os.cpu_count() or 1)
    torch.set_num_threads(threads)
    engine.model.eval()
    decoding = Decoding(engine.runtime, [start_token(engine.tokenizer)])
    token = likeliest(decoding.start())
    cold_start = time.time() - psutil.Process().create_time()
    for _ in range(WARM_UP_TOKENS):
        token = likeliest(decoding.advance(token))
    seconds: list[float] = []
    began = last = time.perf_counter()
    while len(seconds) < MEASURED_TOKENS and last - began < SECONDS_AT_MOST:
        token = likeliest(decoding.advance(token))
        now = time.perf_counter()
        seconds.append(now - last)
        last = now
    return {
        "tokens": len(seconds),
        "threads": threads,
        "latency_p50_ms": percentile(seconds, 0.50) * 1000,
        "latency_p95_ms": percentile(seconds, 0.95) * 1000,
        "tokens_per_second": len(seconds) / (last - began),
        "rss_mb": psutil.Process().memory_info().rss / MEBIBYTE,
        "peak_mb": peak_memory_bytes() / MEBIBYTE,
        "cold_start_seconds": cold_start,
    }


def percentile(values: list[float], share: float) -> float:
    """The smallest value that at least `share` of `values` do not exceed (nearest rank)."""
    return sorted(values)[math.ceil(share * len(values)) - 1]


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
