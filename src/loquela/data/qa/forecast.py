"""What a recipe's documents will be asked, found by reading and cutting them as the run will; nothing is written.

Sources of this machine only: what lies elsewhere would have to be fetched. Of very much text a part is read.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from loquela.artifacts.corpus import Document
from loquela.artifacts.qa_forecast import QaForecast
from loquela.core.errors import LoquelaError
from loquela.data.access.source_registry import source_for
from loquela.data.corpus.drafts import drafts
from loquela.data.corpus.fingerprint import downloads_directory
from loquela.data.qa.chunks import Chunk, as_chunk
from loquela.data.qa.duplicates import Questions
from loquela.data.qa.gate.checks import check_pair
from loquela.data.qa.pairs import Pair
from loquela.data.qa.plan import PlannedChunk, make_plan
from loquela.data.qa.providers.contract import Material
from loquela.data.qa.providers.offline import pairs_by_rule
from loquela.data.source_contract import DividedSource, SourceRequest
from loquela.data.tally import Tally
from loquela.recipe.qa_section import QaSection
from loquela.recipe.schema import Recipe
from loquela.recipe.source_entry import SourceEntry

MOST_CHARACTERS = 1_000_000
BUILTIN = "builtin:"
# Of a pair that a model writes: measured on manuals and articles.
MODEL_QUESTION_CHARACTERS, MODEL_ANSWER_CHARACTERS = 90.0, 180.0


@dataclass
class _Reading:
    chunks: list[Chunk]
    characters: int = 0
    seen_bytes: int = 0
    total_bytes: int = 0

    def enough(self) -> bool:
        return self.characters >= MOST_CHARACTERS


def forecast(recipe: Recipe) -> QaForecast | None:
    """What `qa` will make of the recipe's documents; None without `qa`, or where sources lie elsewhere or cannot be
    read (the run says why).
    """
    section, entries = recipe.qa, recipe.data.entries
    if section is None or not all(_is_local(entry) for entry in entries):
        return None
    reading = _Reading([])
    try:
        for entry in entries:
            for request, size in _objects(entry, recipe):
                _read(request, size, reading, section)
    except (LoquelaError, OSError):
        return None
    if not reading.chunks:
        return None
    return _counted(reading, section)


def _is_local(entry: SourceEntry) -> bool:
    address = entry.address
    here = Path(address).expanduser()
    is_pattern = ":" not in address and any(sign in address for sign in "*?[")
    return address.startswith(BUILTIN) or here.exists() or is_pattern


def _objects(entry: SourceEntry, recipe: Recipe) -> Iterator[tuple[SourceRequest, int]]:
    """What can be read by itself, with its size in bytes."""
    downloads, seed = downloads_directory(recipe.output_directory), recipe.data.seed
    request = SourceRequest(entry, recipe.data, downloads, seed)
    source = source_for(entry.address)
    if not isinstance(source, DividedSource):
        yield request, source.check(request).size_bytes or 0
        return
    for found in source.objects(request):
        yield SourceRequest(entry, recipe.data, downloads, seed, objects=(found.name,)), found.size_bytes or 0


def _read(request: SourceRequest, size: int, reading: _Reading, section: QaSection) -> None:
    reading.total_bytes += size
    if reading.enough():
        return
    tally = Tally()
    before = reading.characters
    for number, text in enumerate(source_for(request.address).read(request, tally)):
        for draft in drafts(text, number, request.section, tally):
            reading.characters += len(draft.text)
            document = Document(
                id=draft.id, text=draft.text, source=draft.source, language=draft.language, split="train"
            )
            reading.chunks.append(as_chunk(document, section.language))
            if reading.enough():
                reading.seen_bytes += min(size, reading.characters - before)
                return
    reading.seen_bytes += size


def _counted(reading: _Reading, section: QaSection) -> QaForecast:
    plan = make_plan(reading.chunks, section)
    texts = {chunk.document.id: chunk for chunk in reading.chunks}
    asked = [(texts[name], planned) for name, planned in plan.chunks.items()]
    share = min(1.0, reading.seen_bytes / reading.total_bytes) if reading.total_bytes else 1.0
    if section.provider == "offline":
        questions = Questions()
        pairs = [pair for chunk, planned in asked for pair in _by_rule(chunk, planned, questions)]
    else:
        pairs = [(MODEL_QUESTION_CHARACTERS, MODEL_ANSWER_CHARACTERS)] * plan.pairs
    count = max(1, len(pairs))
    return QaForecast(
        passages=round(len(asked) / share),
        pairs=round(len(pairs) / share),
        question_characters=sum(question for question, _ in pairs) / count,
        answer_characters=sum(answer for _, answer in pairs) / count,
        passage_characters=sum(len(chunk.text) for chunk, _ in asked) / max(1, len(asked)),
        share_read=share,
    )


def _by_rule(chunk: Chunk, planned: PlannedChunk, questions: Questions) -> Iterator[tuple[float, float]]:
    """Characters of question and answer of each pair that rules find in `chunk` and that is kept."""
    for made in pairs_by_rule(Material(chunk.text, chunk.language, planned.cells)):
        pair = Pair.model_validate(made)
        kept = check_pair(pair, chunk.text, chunk.language).reason is None
        if kept and questions.duplicate_reason(pair.question, chunk.language) is None:
            yield float(len(pair.question)), float(len(pair.answer))
