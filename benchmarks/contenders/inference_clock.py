"""What every contender of the inference benchmark shares: the same numbers of tokens, the same report.

python benchmarks/contenders/<contender>.py FOLDER NEW_TOKENS REPEATS
"""

import json
import math
import sys
import time

import psutil

PROMPT_TOKENS = 16
NEW_TOKENS, REPEATS = (int(argument) for argument in sys.argv[2:4])
PROMPT = [5 + 31 * place % 7000 for place in range(PROMPT_TOKENS)]
MEBIBYTE = 2**20


class Clock:
    """Times of tokens. Call `first` when the first token of the process is there, then for each text `begin` after its
    first token, `token` after every further one, and `rest` at its end.
    """

    def __init__(self) -> None:
        self.cold_start_seconds = 0.0
        self.seconds: list[float] = []
        self.processor_seconds = 0.0
        self._last = self._began = 0.0

    def first(self) -> None:
        self.cold_start_seconds = time.time() - psutil.Process().create_time()

    def begin(self) -> None:
        self._began = time.process_time()
        self._last = time.perf_counter()

    def token(self) -> None:
        now = time.perf_counter()
        self.seconds.append(now - self._last)
        self._last = now

    def rest(self) -> None:
        self.processor_seconds += time.process_time() - self._began

    def warmed_up(self) -> None:
        """Forget what was counted so far."""
        self.seconds.clear()
        self.processor_seconds = 0.0

    def report(self, **more: float | None) -> None:
        """One JSON object on standard output."""
        ordered = sorted(self.seconds)
        print(
            json.dumps(
                {
                    "tokens_per_second": len(ordered) / sum(ordered),
                    "tokens_per_processor_second": len(ordered) / self.processor_seconds,
                    "p50_ms": 1000 * ordered[len(ordered) // 2],
                    "p95_ms": 1000 * ordered[math.ceil(0.95 * len(ordered)) - 1],
                    "rss_mb": psutil.Process().memory_info().rss / MEBIBYTE,
                    "peak_mb": peak_mb(),
                    "cold_start_seconds": self.cold_start_seconds,
                    **more,
                }
            ),
            flush=True,
        )


def peak_mb() -> float:
    """The highest resident set of this process alone (VmHWM)."""
    with open("/proc/self/status", encoding="ascii") as status:
        line = next(line for line in status if line.startswith("VmHWM:"))
    return int(line.split()[1]) / 1024
