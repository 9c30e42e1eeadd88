"""An open line to the model of a section: through the store, within the budget, into the log, with one way to send."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from loquela.artifacts.context import StopRequest
from loquela.data.qa.batches import BatchSender
from loquela.data.qa.budget import Budget
from loquela.data.qa.outcomes import Calls
from loquela.data.qa.providers.contract import Request
from loquela.data.qa.providers.models import ModelFacts
from loquela.data.qa.providers.open import open_batch_provider, open_provider
from loquela.data.qa.sending import Patience, Sender
from loquela.data.qa.store import RequestStore

# Questions, answers and rewordings: one store for all that models are asked below one output directory.
REQUESTS_FOLDER = "qa_requests"
Requests = Callable[[], Iterable[Request]]


class Sends(Protocol):
    """Gets an answer for each request that has none; `requests` may be called more than once."""

    def __call__(self, requests: Requests) -> Counter[str]:
        """Failed requests by kind of failure; raises as `Sender.send`."""


def requests_folder(output_directory: Path) -> Path:
    """Where the requests of all runs below one output directory are kept."""
    return output_directory.expanduser() / REQUESTS_FOLDER


@contextmanager
def asking(
    store: RequestStore, facts: Mapping[str, ModelFacts], calls: Calls, stop: StopRequest, patience: Patience
) -> Iterator[Sends]:
    """A way to send requests to the model of `calls.section`; what it came to is told at the end.

    Raises as `open_provider`; what may be spent is what earlier runs of the store's task left of the cap.
    """
    section = calls.section
    budget = Budget(section.max_cost_usd, *store.spent_before())
    if section.batch:
        batches = open_batch_provider(section, facts)
        close = batches.close
        send: Sends = BatchSender(batches, store, budget, facts, calls, stop, patience).send
    else:
        provider = open_provider(section, facts)
        close = provider.close
        sender = Sender(provider, store, budget, facts, calls, stop, section.concurrency, patience)

        def send(requests: Requests) -> Counter[str]:
            return sender.send(requests())

    try:
        yield send
    finally:
        close()
        calls.spent(budget)
