"""The load itself: requests that arrive when they arrive, answered one after another by one runtime."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import numpy as np

from loquela.artifacts.bundle import GoldenPrompt
from loquela.core.errors import LoquelaError
from loquela.evaluation.deployment.job import GoldenMismatch, GoldenOutcome, ServedRequest, TokenGaps
from loquela.inference.runtimes.contract import Logits, Runtime


class NotFinite(Exception):
    """The runtime gave logits among which there is no likeliest."""


class Server:
    """Greedy decoding over `runtime`, timed by `clock` (seconds) and waiting with `sleep`."""

    def __init__(
        self,
        runtime: Runtime,
        vocab_size: int,
        clock: Callable[[], float] = time.perf_counter,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.runtime = runtime
        self.vocab_size = vocab_size
        self.clock = clock
        self.sleep = sleep
        self.gaps: list[float] = []
        self.busy_seconds = 0.0

    def serve(
        self,
        prompts: Sequence[list[int]],
        arrivals: Sequence[float],
        new_tokens: int,
        until: float,
        tell: Callable[[int], None] = lambda served: None,
    ) -> list[ServedRequest]:
        """Answer request i with prompt i, round and round; after `until` seconds nothing is begun or gone on with.

        The end of a document does not end an answer, so that every bundle does the same work.
        """
        began = self.clock()
        served = []
        for index, arrived in enumerate(arrivals):
            waiting = arrived - (self.clock() - began)
            if waiting > 0:
                self.sleep(waiting)
            request = ServedRequest(arrived=arrived)
            if max(arrived, self.clock() - began) >= until:
                request.error = f"not begun within {until:g} seconds"
            else:
                self._answer(request, prompts[index % len(prompts)], new_tokens, began, until)
            served.append(request)
            tell(len(served))
        return served

    def _answer(self, request: ServedRequest, prompt: list[int], new_tokens: int, began: float, until: float) -> None:
        started = last = self.clock()
        request.started = started - began
        tokens = 0
        try:
            token = self.likeliest(self.runtime.start(prompt))
            tokens, last = 1, self.clock()
            request.first_token = last - began
            while tokens < new_tokens and last - began < until:
                token = self.likeliest(self.runtime.step(token))
                now = self.clock()
                self.gaps.append(now - last)
                tokens, last = tokens + 1, now
            if tokens < new_tokens:
                request.error = f"cut off after {tokens} of {new_tokens} tokens, {until:g} seconds after the load began"
        except (LoquelaError, NotFinite) as error:
            request.error = error.message if isinstance(error, LoquelaError) else str(error)
        request.tokens = tokens
        request.finished = None if request.error else last - began
        self.busy_seconds += self.clock() - started

    def golden(self, prompts: Sequence[GoldenPrompt]) -> GoldenOutcome:
        """Whether every continuation is token for token the one that the bundle was exported with."""
        outcome = GoldenOutcome(prompts=len(prompts), tokens=sum(len(golden.continuation_ids) for golden in prompts))
        for index, golden in enumerate(prompts):
            logits = self.runtime.start(golden.prompt_ids)
            for position, expected in enumerate(golden.continuation_ids):
                if position:
                    logits = self.runtime.step(golden.continuation_ids[position - 1])
                written = self.likeliest(logits)
                if written != expected:
                    found = GoldenMismatch(prompt=index, position=position, expected=expected, written=written)
                    outcome.mismatches = [*outcome.mismatches, found]
                    break
        return outcome

    def likeliest(self, logits: Logits) -> int:
        """The greedy token; NotFinite when the logits hold NaN."""
        known = logits[: self.vocab_size]
        token = int(np.argmax(known))
        if not np.isfinite(known[token]):
            raise NotFinite("the model gave logits that are not finite")
        return token


def token_gaps(gaps_seconds: Sequence[float]) -> TokenGaps:
    """Spread of `gaps_seconds`, in milliseconds."""
    if not gaps_seconds:
        return TokenGaps(count=0, mean=0.0, p50=0.0, p95=0.0, p99=0.0)
    gaps = np.asarray(gaps_seconds) * 1000
    p50, p95, p99 = (float(value) for value in np.quantile(gaps, (0.50, 0.95, 0.99), method="inverted_cdf"))
    return TokenGaps(count=len(gaps), mean=float(gaps.mean()), p50=p50, p95=p95, p99=p99)
