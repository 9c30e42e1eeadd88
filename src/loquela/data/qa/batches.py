"""Requests by the thousand: handed in as batches at half the price, answered within a day.

The id of a batch is on disk as soon as it is known, so that a run that was stopped reads the results of its batches
instead of handing them in again.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from typing import TypeVar

from loquela.artifacts.context import StopRequest
from loquela.core.errors import ErrorCode, Interrupted
from loquela.data.qa.budget import Budget
from loquela.data.qa.outcomes import Calls, budget_error, check_failure
from loquela.data.qa.providers.contract import (
    MAYBE_BILLED,
    TRANSIENT,
    BatchProvider,
    BatchResult,
    ProviderFailure,
    Request,
)
from loquela.data.qa.providers.models import ModelFacts
from loquela.data.qa.sending import Patience
from loquela.data.qa.store import RequestStore

# At most so many requests go out twice if the process dies before the id of their batch is on disk.
REQUESTS_PER_BATCH = 500
Answer = TypeVar("Answer")


@dataclass(frozen=True)
class BatchSender:
    """What is needed to get requests answered in batches."""

    provider: BatchProvider
    store: RequestStore
    budget: Budget
    facts: Mapping[str, ModelFacts]
    calls: Calls
    stop: StopRequest
    patience: Patience = field(default_factory=Patience)

    def send(self, requests: Callable[[], Iterable[Request]]) -> Counter[str]:
        """Get an answer for each request that has none; failed ones by kind of failure. Raises as `Sender.send`."""
        return _Batches(self, requests).run()


class _Batches:
    """Hands in, waits and reads, until every request is answered or has failed for good."""

    def __init__(self, sender: BatchSender, requests: Callable[[], Iterable[Request]]) -> None:
        self.sender = sender
        self.requests = requests
        self.failed: Counter[str] = Counter()
        self.given_up: set[str] = set()
        self.counted: set[str] = set()
        # Batches under way: id → worst case of each of its requests, in US dollars.
        self.open: dict[str, dict[str, float]] = {}

    def run(self) -> Counter[str]:
        for batch, worst in self.sender.store.open_batches(self.sender.provider.endpoint).items():
            self.open[batch] = worst
            self.sender.budget.reserved += sum(worst.values())
        for _ in range(self.sender.patience.attempts):
            self._hand_in()
            self._await_all()
            if not any(True for _ in self._unanswered()):
                return self.failed
        for request in self._unanswered():
            self.failed["server"] += 1
            self.sender.store.failed(request.key, "server", in_doubt_usd=0.0, final=True)
        return self.failed

    def _hand_in(self) -> None:
        left = self._unanswered()
        while group := list(islice(left, REQUESTS_PER_BATCH)):
            while group:
                fitting = self._affordable(group)
                if fitting:
                    self._submit(group[: len(fitting)], fitting)
                    group = group[len(fitting) :]
                elif self.open:
                    self._await_all()
                else:
                    raise budget_error(self.sender.budget, self._worst(group[0]), self.sender.calls.section)

    def _affordable(self, group: list[Request]) -> dict[str, float]:
        """Keys and worst cases of the first requests of `group` that the budget has room for, set aside."""
        fitting: dict[str, float] = {}
        for request in group:
            worst = self._worst(request)
            if not self.sender.budget.reserve(worst):
                break
            fitting[request.key] = worst
        return fitting

    def _submit(self, group: list[Request], worst: dict[str, float]) -> None:
        sender = self.sender
        for attempt in range(1, sender.patience.attempts + 1):
            sender.store.sent(worst.items())
            try:
                batch = sender.provider.submit(group)
            except ProviderFailure as failure:
                maybe_billed = failure.kind in MAYBE_BILLED
                for request in group:
                    in_doubt = worst[request.key] if maybe_billed else 0.0
                    sender.store.failed(request.key, failure.kind, in_doubt_usd=in_doubt, final=False)
                sender.calls.failed(group[0], failure, attempt, again=attempt < sender.patience.attempts)
                last = attempt == sender.patience.attempts
                if maybe_billed or failure.kind not in TRANSIENT or last:
                    for each in worst.values():
                        sender.budget.release(each, maybe_billed=maybe_billed)
                    check_failure(failure, group[0], sender.calls, too_many=True)
                self._pause(failure.retry_after_seconds or sender.patience.first_wait_seconds * 2.0 ** (attempt - 1))
            else:
                sender.store.in_batch(worst, batch)
                self.open[batch] = worst
                return

    def _await_all(self) -> None:
        while self.open:
            for batch in list(self.open):
                if self._patiently(partial(self.sender.provider.progress, batch)).ended:
                    self._read(batch)
            if self.open:
                self._pause(self.sender.patience.poll_seconds)

    def _read(self, batch: str) -> None:
        worst = self.open[batch]
        results = {result.key: result for result in self._patiently(lambda: self.sender.provider.results(batch))}
        by_key = {request.key: request for request in self._of(worst)}
        for key, reserved in worst.items():
            result = results.get(key)
            request = by_key.get(key)
            if result is None or result.completion is None:
                self._unsuccessful(key, request, result, reserved)
                continue
            completion = result.completion
            cost = reserved
            if request is not None and completion.usage is not None:
                cost = self.sender.facts[request.model].cost_usd(completion.usage, batch=True)
            self.sender.budget.settle(reserved, cost)
            self.sender.store.answered(key, completion, cost)
            if request is not None:
                self.sender.calls.answered(request, completion, cost, 1, 0.0)
        del self.open[batch]

    def _unsuccessful(self, key: str, request: Request | None, result: BatchResult | None, reserved: float) -> None:
        """A request of an ended batch without an answer; these are not charged for."""
        failure = result.failure if result is not None else None
        failure = failure or ProviderFailure("server", "the batch ended without a word about it")
        final = failure.kind not in TRANSIENT
        self.sender.budget.release(reserved, maybe_billed=False)
        self.sender.store.failed(key, failure.kind, in_doubt_usd=0.0, final=final)
        if request is not None:
            self.sender.calls.failed(request, failure, 1, again=not final)
        if final:
            self.failed[failure.kind] += 1
            self.given_up.add(key)

    def _unanswered(self) -> Iterator[Request]:
        waiting = {key for batch in self.open.values() for key in batch}
        for request in self.requests():
            key = request.key
            before = self.sender.store.find(key)
            if before is not None and before.state == "ok":
                if key not in self.counted:
                    self.counted.add(key)
                    self.sender.calls.reused += before.batch is None
            elif key not in waiting and key not in self.given_up:
                self.sender.store.add(request)
                yield request

    def _of(self, keys: Mapping[str, float]) -> Iterator[Request]:
        return (request for request in self.requests() if request.key in keys)

    def _worst(self, request: Request) -> float:
        return self.sender.facts[request.model].worst_usd(request, batch=True)

    def _patiently(self, call: Callable[[], Answer]) -> Answer:
        """Repeat a call that costs nothing until it succeeds, or fails too often."""
        attempt = 1
        while True:
            try:
                return call()
            except ProviderFailure as failure:
                known = next(iter(self.requests()))
                attempt += 1
                over = attempt > self.sender.patience.attempts or failure.kind not in TRANSIENT
                check_failure(failure, known, self.sender.calls, too_many=over)
                self._pause(failure.retry_after_seconds or self.sender.patience.first_wait_seconds)

    def _pause(self, seconds: float) -> None:
        """Wait, and look now and then whether somebody asked to stop."""
        until = time.monotonic() + seconds
        while True:
            if self.sender.stop.requested:
                raise Interrupted(
                    ErrorCode.INTERRUPTED,
                    f"stopped while {len(self.open)} batches are under way ({self.sender.stop.reason}); "
                    "they go on at the provider",
                    "go on with the same command and --resume auto; their results are read then and not paid for twice",
                )
            left = until - time.monotonic()
            if left <= 0:
                return
            time.sleep(min(0.2, left))
