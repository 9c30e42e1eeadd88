"""What is asked about: a document of the corpus, and the cheap rules that tell whether asking is worth its price."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from loquela.artifacts.corpus import Document, read_documents
from loquela.core.digests import digest_bytes
from loquela.core.text.language import function_words, language_of
from loquela.core.text.words import Words

LEAST_INFORMATIVE_WORDS = 25
# A prompt beyond 100,000 tokens has another price, and no answer rests on so much text.
LONGEST_CHUNK_BYTES = 60_000
LEAST_LETTERS = 0.6
MOST_DIGITS = 0.2
LEAST_DISTINCT_WORDS = 0.15
LEAST_DISTINCT_LINES = 0.5


@dataclass(frozen=True)
class Chunk:
    """A document, its language, and what the plan needs to know of it, worked out when it is first asked for."""

    document: Document
    language: str | None

    @property
    def text(self) -> str:
        """What questions are asked about."""
        return self.document.text

    @cached_property
    def digest(self) -> str:
        """SHA-256 of its text."""
        return digest_bytes(self.text.encode("utf-8"))

    @cached_property
    def informative_words(self) -> int:
        """How much it says."""
        return informative_words(self.text, self.language)


def read_chunks(corpus: Path, language: str) -> Iterator[Chunk]:
    """The documents of a corpus as chunks, in order; `language` "auto" takes that of each document.

    Raises DataError as `read_documents` does.
    """
    for document in read_documents(corpus):
        yield as_chunk(document, language)


def as_chunk(document: Document, language: str) -> Chunk:
    """`document` with its language: told, else found by its function words."""
    spoken = (document.language or language_of(document.text)) if language == "auto" else language
    return Chunk(document, spoken)


def informative_words(text: str, language: str | None) -> int:
    """Distinct words of at least three letters or digits that are no function words: what a text can be asked about."""
    common = function_words(language)
    return len({word for word in Words(text).lower_words if len(word) > 2 and word not in common})


def poor_reason(chunk: Chunk) -> str | None:
    """Why a chunk is not worth a question; None when it is."""
    text = chunk.text
    visible = [character for character in text if not character.isspace()]
    if len(text.encode("utf-8")) > LONGEST_CHUNK_BYTES:
        return "chunk too long"
    if chunk.informative_words < LEAST_INFORMATIVE_WORDS:
        return "chunk says too little"
    if sum(character.isdigit() for character in visible) / len(visible) > MOST_DIGITS:
        return "chunk is mostly numbers"
    if sum(character.isalpha() for character in visible) / len(visible) < LEAST_LETTERS:
        return "chunk is mostly signs"
    words = Words(text)
    if len(set(words.lower_words)) / len(words.lower_words) < LEAST_DISTINCT_WORDS:
        return "chunk repeats its words"
    lines = Counter(line.strip() for line in words.lines if line.strip())
    if len(lines) / lines.total() < LEAST_DISTINCT_LINES:
        return "chunk repeats its lines"
    return None
