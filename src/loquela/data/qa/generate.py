"""From a corpus to an examples folder: plan, ask, repair, sift, judge, write; no step is paid for twice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from loquela.artifacts.context import StopRequest
from loquela.core.digests import digest_json
from loquela.core.errors import DataError, ErrorCode
from loquela.data.qa.answers import needed_repair
from loquela.data.qa.asking import Sends, asking
from loquela.data.qa.candidates import Candidate, Sieve, Sifted
from loquela.data.qa.chunks import Chunk, read_chunks
from loquela.data.qa.estimate import Estimate, estimate, refuse_beyond_cap
from loquela.data.qa.judging import judged, verdict_reader
from loquela.data.qa.outcomes import Calls
from loquela.data.qa.pairs import read_pairs
from loquela.data.qa.plan import Plan, make_plan
from loquela.data.qa.prompts import PROMPT_VERSION, ask_request, judge_request
from loquela.data.qa.providers.contract import Request
from loquela.data.qa.providers.models import model_name
from loquela.data.qa.providers.open import endpoint_of, facts_of
from loquela.data.qa.sending import Patience
from loquela.data.qa.store import RequestStore, open_store
from loquela.data.qa.writing import Written, write_examples
from loquela.monitoring.events import Bus
from loquela.recipe.model_access import NOT_THE_TASK
from loquela.recipe.qa_section import QaSection


@dataclass(frozen=True)
class Work:
    """What is made, and where: `requests` is the folder of the request store, shared by all runs."""

    corpus: Path
    section: QaSection
    requests: Path
    bus: Bus
    stop: StopRequest = field(default_factory=StopRequest)
    patience: Patience = field(default_factory=Patience)

    @property
    def task(self) -> str:
        """Names this work in the request store, so that its cost adds up over interrupted runs."""
        section = self.section.model_dump(mode="json", exclude=NOT_THE_TASK)
        return digest_json({"section": section, "corpus": str(self.corpus.resolve()), "prompts": PROMPT_VERSION})

    def chunks(self) -> Iterator[Chunk]:
        """The chunks of the corpus, read anew."""
        return read_chunks(self.corpus, self.section.language)


def foresee(work: Work) -> Estimate:
    """The estimate of `work` without asking anything. Raises as `generate` does before its first request."""
    facts = facts_of(work.section, work.section.judge_model)
    plan = _worthwhile(make_plan(work.chunks(), work.section))
    with open_store(work.requests, work.task) as store:
        return estimate(plan, _ask_requests(work, plan), work.section, facts, store)


def generate(work: Work, output: Path) -> Written:
    """Fill `output` with examples.jsonl and ledger.json.

    Raises DataError(INSUFFICIENT_DATA) when no chunk is worth asking or no pair is left, ProofError
    (INSUFFICIENT_RESOURCES) for a plan or a request beyond `max_cost_usd`, RecipeError, ResourceError and Interrupted
    as the providers and the sender do; whatever was answered until then is kept and costs nothing the next time.
    """
    section = work.section
    facts = facts_of(section, section.judge_model)
    plan = _worthwhile(make_plan(work.chunks(), section))
    with open_store(work.requests, work.task) as store:
        expected = estimate(plan, _ask_requests(work, plan), section, facts, store)
        calls = Calls(work.bus, section)
        calls.tell("planned", expected.model_dump(mode="json"))
        refuse_beyond_cap(expected)
        with asking(store, facts, calls, work.stop, work.patience) as send:
            sifted = _ask(work, plan, store, send)
            judge_losses = _judge(work, store, send, sifted) if section.judged else None
    return write_examples(work.chunks, section, plan, sifted, judge_losses, output)


def _worthwhile(plan: Plan) -> Plan:
    if not plan.chunks:
        reasons = ", ".join(f"{count} × {reason}" for reason, count in plan.skipped.most_common())
        raise DataError(
            ErrorCode.INSUFFICIENT_DATA,
            f"none of the {plan.read} documents of the corpus is worth a question ({reasons or 'it is empty'})",
            "give texts of whole sentences, or larger documents: data.document_bytes",
            details={"documents": plan.read, "skipped": dict(plan.skipped)},
        )
    return plan


def _ask_requests(work: Work, plan: Plan) -> Iterator[Request]:
    return (request for _, request in _asked(work, plan))


def _asked(work: Work, plan: Plan) -> Iterator[tuple[Chunk, Request]]:
    """Every chunk of the plan with its request, in the order of the corpus."""
    model, endpoint = model_name(work.section), endpoint_of(work.section)
    seen: set[str] = set()
    for chunk in work.chunks():
        planned = plan.chunks.get(chunk.document.id)
        if planned is not None and chunk.document.id not in seen:
            seen.add(chunk.document.id)
            yield chunk, ask_request(chunk, planned.cells, model=model, endpoint=endpoint)


def _ask(work: Work, plan: Plan, store: RequestStore, send: Sends) -> Sifted:
    """Ask, ask once more for what cannot be read, and sift."""
    send(lambda: _ask_requests(work, plan))
    send(
        lambda: (
            repair
            for chunk, request in _asked(work, plan)
            if (repair := needed_repair(store, request, chunk.language, read_pairs)) is not None
        )
    )
    sieve = Sieve(store)
    for chunk, request in _asked(work, plan):
        sieve.take(chunk, plan.chunks[chunk.document.id], request)
    return sieve.sifted


def _judge(work: Work, store: RequestStore, send: Sends, sifted: Sifted) -> Counter[str]:
    """Let the judge see what is left, keep what it lets through; what it does not, by reason."""
    section = work.section
    model, endpoint = section.judge_model or model_name(section), endpoint_of(section)

    def requests() -> Iterator[tuple[Chunk, list[Candidate], Request]]:
        seen: set[str] = set()
        for chunk in work.chunks():
            name = chunk.document.id
            if name in candidates and name not in seen:
                seen.add(name)
                pairs = [candidate.pair for candidate in candidates[name]]
                yield chunk, candidates[name], judge_request(chunk, pairs, model=model, endpoint=endpoint)

    candidates = sifted.candidates
    send(lambda: (request for _, _, request in requests()))
    send(
        lambda: (
            repair
            for chunk, found, request in requests()
            if (repair := needed_repair(store, request, chunk.language, verdict_reader(len(found)))) is not None
        )
    )
    losses: Counter[str] = Counter()
    kept = {
        chunk.document.id: judged(store, request, chunk.language, found, section.judge_min_usefulness, losses)
        for chunk, found, request in requests()
    }
    sifted.candidates = {name: found for name, found in kept.items() if found}
    return losses
