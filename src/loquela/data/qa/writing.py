"""The examples folder of a run: rows, ledger, and the numbers that go into its manifest."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

from pydantic import Field

from loquela.artifacts.corpus import LEDGER_NAME, SPLITS
from loquela.artifacts.examples import Example, ExamplesWriter
from loquela.artifacts.ledger import Ledger
from loquela.core.atomic import write_json
from loquela.core.errors import DataError, ErrorCode
from loquela.core.model import BoundaryModel
from loquela.data.qa.candidates import Sifted
from loquela.data.qa.chunks import Chunk
from loquela.data.qa.ledger import QaTally
from loquela.data.qa.plan import Plan
from loquela.data.qa.prompts import PROMPT_VERSION
from loquela.data.qa.providers.models import model_name
from loquela.data.qa.rows import answered_rows, unanswerable_row
from loquela.data.qa.unanswerable import Home, keep_texts, plan_loans, settled
from loquela.recipe.qa_section import QaSection


class Written(BoundaryModel):
    """What was made. Money is not part of it: the same answers make the same artifact, however they were come by."""

    examples: int
    splits: dict[str, int]
    pairs: int
    chunks: int
    chunks_asked: int
    unanswerable: int
    unanswerable_wanted: int
    question_types: dict[str, int]
    generator: str
    prompt_version: str
    judged: bool
    dropped: dict[str, int] = Field(description="pairs that were not kept, by reason")


def write_examples(
    chunks: Callable[[], Iterator[Chunk]],
    section: QaSection,
    plan: Plan,
    sifted: Sifted,
    judge_losses: Counter[str] | None,
    output: Path,
) -> Written:
    """Write every row and the ledger; DataError(INSUFFICIENT_DATA) with the reasons when no pair is left."""
    if not sifted.kept:
        raise _nothing_left(plan, sifted, judge_losses)
    generator = model_name(section)
    lent = _lent(chunks, section, sifted)
    types: Counter[str] = Counter()
    counts: Counter[str] = Counter()
    with ExamplesWriter(output) as writer:
        for row in _rows(chunks, section, sifted, generator, lent):
            writer.write(row)
            counts["unanswerable" if row.labels["answerable"] == "no" else row.labels["form"]] += 1
    for found in sifted.candidates.values():
        types.update(candidate.pair.type for candidate in found)
    ledger = _ledger(plan, sifted, judge_losses, counts, sum(writer.examples.values()))
    write_json(output / LEDGER_NAME, ledger.model_dump(mode="json"))
    wanted = round(sifted.kept * section.unanswerable_share)
    return Written(
        examples=sum(writer.examples.values()),
        splits={split: writer.examples[split] for split in SPLITS},
        pairs=sifted.kept,
        chunks=plan.read,
        chunks_asked=len(plan.chunks),
        unanswerable=counts["unanswerable"],
        unanswerable_wanted=wanted,
        question_types=dict(sorted(types.items())),
        generator=generator,
        prompt_version=PROMPT_VERSION,
        judged=judge_losses is not None,
        dropped=dict(sorted((sifted.gate_losses + sifted.duplicate_losses + (judge_losses or Counter())).items())),
    )


def _lent(chunks: Callable[[], Iterator[Chunk]], section: QaSection, sifted: Sifted) -> dict[str, dict[int, str]]:
    """Chunk → place of a candidate → text of a passage that does not answer it."""
    if section.unanswerable_share == 0:
        return {}
    homes = {
        chunk.document.id: Home(chunk.document.split, chunk.language, chunk.document.source)
        for chunk in chunks()
        if chunk.document.id in sifted.candidates
    }
    loans = plan_loans(sifted.candidates, homes, section.unanswerable_share, section.seed)
    keep_texts(loans, chunks())
    return settled(loans, sifted.candidates, homes)


def _rows(
    chunks: Callable[[], Iterator[Chunk]],
    section: QaSection,
    sifted: Sifted,
    generator: str,
    lent: dict[str, dict[int, str]],
) -> Iterator[Example]:
    needed = {passage for loans in lent.values() for passage in loans.values()}
    passages = {chunk.document.id: chunk.document for chunk in chunks() if chunk.document.id in needed}
    seen: set[str] = set()
    number = 0
    for chunk in chunks():
        name = chunk.document.id
        if name not in sifted.candidates or name in seen:
            continue
        seen.add(name)
        yield from answered_rows(chunk, sifted.candidates[name], section, generator)
        for place, passage in sorted(lent.get(name, {}).items()):
            yield unanswerable_row(chunk, sifted.candidates[name][place], passages[passage], generator, number)
            number += 1


def _ledger(
    plan: Plan, sifted: Sifted, judge_losses: Counter[str] | None, counts: Counter[str], written: int
) -> Ledger:
    tally = QaTally(plan.read)
    tally.arrow("plan", plan.skipped, out=len(plan.chunks))
    tally.arrow("answer", sifted.answer_losses, out=sifted.answered)
    opened = {"answers opened": sifted.parsed}
    tally.arrow(
        "parse", {**sifted.parse_losses, **opened}, gained={"pairs in them": sifted.entries}, out=sifted.entries
    )
    tally.arrow("gate", sifted.gate_losses, out=sifted.passed)
    before_judge = sifted.kept + (judge_losses.total() if judge_losses is not None else 0)
    tally.arrow("deduplicate", sifted.duplicate_losses, out=before_judge)
    if judge_losses is not None:
        tally.arrow("judge", judge_losses, out=sifted.kept)
    both = min(counts["closed_book"], counts["open_book"])
    tally.arrow(
        "rows",
        {},
        gained={"the same pair with its passage": both, "made unanswerable": counts["unanswerable"]},
        out=written,
    )
    return tally.ledger()


def _nothing_left(plan: Plan, sifted: Sifted, judge_losses: Counter[str] | None) -> DataError:
    losses = sifted.answer_losses + sifted.parse_losses + sifted.gate_losses + sifted.duplicate_losses
    losses += judge_losses or Counter()
    reasons = ", ".join(f"{count} × {reason}" for reason, count in losses.most_common(5))
    return DataError(
        ErrorCode.INSUFFICIENT_DATA,
        f"no pair is left of {len(plan.chunks)} chunks asked ({reasons or 'no answer held a pair'})",
        "see llm_interaction.log of the run for the answers; try another qa.model, or other texts",
        details={"losses": dict(losses)},
    )
