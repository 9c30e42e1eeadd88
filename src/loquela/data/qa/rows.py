"""Kept pairs → examples: the question alone, the question under its passage, and passages that hold no answer."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import JsonValue

from loquela.artifacts.corpus import Document
from loquela.artifacts.examples import Example, ExampleLineage, Message, with_id
from loquela.data.qa.candidates import Candidate
from loquela.data.qa.chunks import Chunk
from loquela.data.qa.prompts import PROMPT_VERSION
from loquela.recipe.qa_section import QaSection

_OPEN_BOOK = {
    "en": "Answer from this passage.\n\n{passage}\n\nQuestion: {question}",
    "es": "Responde a partir de este pasaje.\n\n{passage}\n\nPregunta: {question}",
}
REFUSALS = {
    "en": (
        "The passage does not say.",
        "That cannot be answered from the passage.",
        "The passage gives no answer to that.",
    ),
    "es": (
        "El pasaje no lo dice.",
        "Eso no se puede responder con el pasaje.",
        "El pasaje no da respuesta a eso.",
    ),
}


def answered_rows(chunk: Chunk, candidates: list[Candidate], section: QaSection, generator: str) -> Iterator[Example]:
    """The rows of one chunk's pairs; with `rows: both`, the one with the passage is a variant of the one without."""
    for candidate in candidates:
        pair = candidate.pair
        first: Example | None = None
        if section.rows != "open_book":
            first = _example(chunk, candidate, generator, "closed_book", pair.question, pair.answer)
            yield first
        if section.rows != "closed_book":
            prompt = open_book_prompt(chunk.text, pair.question, chunk.language)
            row = _example(chunk, candidate, generator, "open_book", prompt, pair.answer)
            yield row if first is None else row.model_copy(update={"variant_of": first.id})


def unanswerable_row(chunk: Chunk, candidate: Candidate, other: Document, generator: str, number: int) -> Example:
    """The question of `candidate` under a passage without its answer; `number` picks the wording of the refusal."""
    wordings = REFUSALS.get(chunk.language or "", REFUSALS["en"])
    prompt = open_book_prompt(other.text, candidate.pair.question, chunk.language)
    row = _example(chunk, candidate, generator, "open_book", prompt, wordings[number % len(wordings)], answerable=False)
    row.lineage.details["passage_document"] = other.id
    row.lineage.details["answer_elsewhere"] = candidate.pair.answer
    return row


def open_book_prompt(passage: str, question: str, language: str | None) -> str:
    """Passage and question as they are put to the model; in English where the language has no wording of its own."""
    return _OPEN_BOOK.get(language or "", _OPEN_BOOK["en"]).format(passage=passage.strip(), question=question)


def _example(
    chunk: Chunk, candidate: Candidate, generator: str, form: str, prompt: str, answer: str, *, answerable: bool = True
) -> Example:
    document, pair = chunk.document, candidate.pair
    row = Example(
        id="",
        kind="messages",
        messages=[Message(role="user", content=prompt), Message(role="assistant", content=answer)],
        language=chunk.language,
        split=document.split,
        lineage=_lineage(chunk, candidate, generator),
        labels={
            **document.labels,
            "form": form,
            "answerable": "yes" if answerable else "no",
            "question_type": pair.type,
            "difficulty": pair.difficulty,
        },
        group=document.group or document.source,
    )
    return with_id(row)


def _lineage(chunk: Chunk, candidate: Candidate, generator: str) -> ExampleLineage:
    document, found = chunk.document, candidate.found
    place = document.lineage
    details: dict[str, JsonValue] = {
        "prompt_version": PROMPT_VERSION,
        "request": candidate.request_key,
        "evidence": chunk.text[found.start : found.end],
        "evidence_match": found.how,
        "evidence_similarity": round(found.similarity, 4),
        "chunk_sha256": chunk.digest,
        "judge": None if candidate.verdict is None else candidate.verdict.model_dump(mode="json", exclude={"pair"}),
    }
    if place is not None:
        details["object"] = place.object
        details["object_characters"] = [place.char_start, place.char_end]
    pages = [] if place is None or place.pages is None else list(range(place.pages[0], place.pages[1] + 1))
    return ExampleLineage(
        source=document.source,
        document=document.id,
        char_start=found.start,
        char_end=found.end,
        pages=pages,
        generator=generator,
        details=details,
    )
