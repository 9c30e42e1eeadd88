"""Requests go out, answers come in: several at once, within the budget, again after a passing fault.

Everything but the calls themselves happens in one thread, so that the store, the budget and the log always agree.
"""

from __future__ import annotations

import heapq
import itertools
import random
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field

from loquela.artifacts.context import StopRequest
from loquela.core.errors import ErrorCode, Interrupted
from loquela.data.qa.budget import Budget
from loquela.data.qa.outcomes import Calls, budget_error, check_failure
from loquela.data.qa.providers.contract import (
    MAYBE_BILLED,
    TRANSIENT,
    Completion,
    Provider,
    ProviderFailure,
    Request,
)
from loquela.data.qa.providers.models import ModelFacts
from loquela.data.qa.store import RequestStore


@dataclass(frozen=True)
class Patience:
    """How faults are met: attempts per request, the first and the longest wait, failed requests in a row to give up."""

    attempts: int = 5
    first_wait_seconds: float = 1.0
    longest_wait_seconds: float = 60.0
    # A provider that asks for more than that is asked again all the same, and may count as one that is down.
    longest_retry_after_seconds: float = 600.0
    failures_in_a_row: int = 5
    # After so many answers without a complaint, one more request at once is tried.
    answers_per_step_up: int = 20
    # Between two looks at a batch.
    poll_seconds: float = 20.0


@dataclass(frozen=True)
class Sender:
    """What is needed to get requests answered."""

    provider: Provider
    store: RequestStore
    budget: Budget
    facts: Mapping[str, ModelFacts]
    calls: Calls
    stop: StopRequest
    concurrency: int
    patience: Patience = field(default_factory=Patience)

    def send(self, requests: Iterable[Request]) -> Counter[str]:
        """Get an answer for each request that has none; failed ones by kind of failure.

        What was answered before, in whatever run, is not sent. Raises ResourceError (AUTH_FAILED, NETWORK_ERROR),
        RecipeError (CONFIG_INVALID) and ProofError (INSUFFICIENT_RESOURCES, the cost cap) when going on makes no
        sense, Interrupted on request; every answer until then is kept.
        """
        return _Round(self).run(requests)


@dataclass(order=True)
class _Waiting:
    """A request that may go out at `ready` (monotonic seconds)."""

    ready: float
    number: int
    request: Request = field(compare=False)
    attempt: int = field(compare=False)


@dataclass
class _Flight:
    request: Request
    attempt: int
    worst: float
    began: float


class _Round:
    """One pass over a stream of requests."""

    def __init__(self, sender: Sender) -> None:
        self.sender = sender
        self.at_once = sender.concurrency
        self.quiet_answers = 0
        self.lowered_at = 0.0
        self.in_a_row = 0
        self.failed: Counter[str] = Counter()
        self.waiting: list[_Waiting] = []
        self.flights: dict[Future[Completion], _Flight] = {}
        self._numbers = itertools.count()

    def run(self, requests: Iterable[Request]) -> Counter[str]:
        fresh = self._unanswered(requests)
        with ThreadPoolExecutor(self.sender.concurrency, thread_name_prefix="qa") as pool:
            try:
                more = True
                while more or self.waiting or self.flights:
                    more = self._launch(pool, fresh, more)
                    self._land()
                    self._stop_if_asked()
            finally:
                # Calls under way are paid for: their answers are waited for and kept, whatever ended the round.
                while self.flights:
                    self._land(quietly=True)
        return self.failed

    def _unanswered(self, requests: Iterable[Request]) -> Iterator[Request]:
        store = self.sender.store
        for request in requests:
            before = store.find(request.key)
            if before is not None and before.state == "ok":
                self.sender.calls.reused += 1
                continue
            store.add(request)
            yield request

    def _launch(self, pool: ThreadPoolExecutor, fresh: Iterator[Request], more: bool) -> bool:
        while len(self.flights) < self.at_once:
            if self.waiting and self.waiting[0].ready <= time.monotonic():
                due = heapq.heappop(self.waiting)
            elif more:
                request = next(fresh, None)
                if request is None:
                    return False
                due = _Waiting(0.0, next(self._numbers), request, 1)
            else:
                break
            if not self._take_off(pool, due):
                # Something must land first, and free what was set aside for it; `due` goes before everything else.
                heapq.heappush(self.waiting, _Waiting(-1.0, due.number, due.request, due.attempt))
                break
        return more

    def _take_off(self, pool: ThreadPoolExecutor, due: _Waiting) -> bool:
        sender = self.sender
        worst = sender.facts[due.request.model].worst_usd(due.request)
        if not sender.budget.reserve(worst):
            if not self.flights:
                raise budget_error(sender.budget, worst, sender.calls.section)
            return False
        sender.store.sent([(due.request.key, worst)])
        flight = _Flight(due.request, due.attempt, worst, time.monotonic())
        self.flights[pool.submit(sender.provider.complete, due.request)] = flight
        return True

    def _land(self, *, quietly: bool = False) -> None:
        """Wait a moment for answers and deal with those that came; `quietly` keeps them and judges nothing."""
        if not self.flights:
            if self.waiting:
                time.sleep(max(0.0, min(0.2, self.waiting[0].ready - time.monotonic())))
            return
        done, _ = wait(self.flights, timeout=0.2, return_when=FIRST_COMPLETED)
        for future in done:
            flight = self.flights.pop(future)
            error = future.exception()
            if error is None:
                self._answered(flight, future.result())
            elif isinstance(error, ProviderFailure):
                self._failed(flight, error, quietly=quietly)
            else:
                self.sender.budget.release(flight.worst, maybe_billed=True)
                if not quietly:
                    raise error

    def _answered(self, flight: _Flight, completion: Completion) -> None:
        sender, request = self.sender, flight.request
        facts = sender.facts[request.model]
        cost = flight.worst if completion.usage is None else facts.cost_usd(completion.usage)
        sender.budget.settle(flight.worst, cost)
        sender.store.answered(request.key, completion, cost)
        sender.calls.answered(request, completion, cost, flight.attempt, time.monotonic() - flight.began)
        self.in_a_row = 0
        self.quiet_answers += 1
        if self.quiet_answers >= sender.patience.answers_per_step_up and self.at_once < sender.concurrency:
            self.at_once += 1
            self.quiet_answers = 0

    def _failed(self, flight: _Flight, failure: ProviderFailure, *, quietly: bool) -> None:
        sender, request = self.sender, flight.request
        maybe_billed = failure.kind in MAYBE_BILLED
        again = failure.kind in TRANSIENT and flight.attempt < sender.patience.attempts
        sender.budget.release(flight.worst, maybe_billed=maybe_billed)
        in_doubt = flight.worst if maybe_billed else 0.0
        sender.store.failed(request.key, failure.kind, in_doubt_usd=in_doubt, final=not again)
        sender.calls.failed(request, failure, flight.attempt, again=again)
        if quietly:
            return
        if failure.kind == "rate_limited":
            self._lower(flight)
        if again:
            ready = time.monotonic() + self._wait_seconds(failure, flight.attempt)
            heapq.heappush(self.waiting, _Waiting(ready, next(self._numbers), request, flight.attempt + 1))
            return
        self.failed[failure.kind] += 1
        self.in_a_row += 1
        too_many = self.in_a_row >= sender.patience.failures_in_a_row
        check_failure(failure, request, sender.calls, too_many=too_many)

    def _lower(self, flight: _Flight) -> None:
        """Half as many at once; calls that went out before the last lowering say nothing new."""
        self.quiet_answers = 0
        if flight.began >= self.lowered_at:
            self.at_once = max(1, self.at_once // 2)
            self.lowered_at = time.monotonic()
            self.sender.calls.slowed(self.at_once)

    def _wait_seconds(self, failure: ProviderFailure, attempt: int) -> float:
        patience = self.sender.patience
        longest = patience.longest_wait_seconds
        backoff = min(longest, patience.first_wait_seconds * 2.0 ** (attempt - 1)) * random.uniform(0.5, 1.0)
        if failure.retry_after_seconds is None:
            return backoff
        # What the provider asks for is kept, and a little more, so that not all come back at one moment.
        return min(patience.longest_retry_after_seconds, failure.retry_after_seconds) + backoff * 0.1

    def _stop_if_asked(self) -> None:
        if self.sender.stop.requested:
            raise Interrupted(
                ErrorCode.INTERRUPTED,
                f"stopped while asking {self.sender.provider.endpoint} ({self.sender.stop.reason}); "
                f"{self.sender.calls.total} answers so far are kept, and none is paid for twice",
                "go on with the same command and --resume auto",
            )
