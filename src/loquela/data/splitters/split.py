"""`split_text`: a text → chunks with exact places and an overlap that is really there.

Where to cut is decided by langchain-text-splitters, asked for parts without overlap and without trimming: such parts,
joined, are the text, so every place is a sum of lengths and nothing is searched for. The overlap is then taken from the
text itself: a chunk begins up to `overlap` before the end of the one before it, at the start of a word. (Asked for an
overlap, that library keeps whole parts only: where they are longer than the overlap, as paragraphs are, there is none.)
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from loquela.core.errors import ErrorCode, RecipeError
from loquela.data.splitters.cut import cut
from loquela.data.splitters.overlap import CountTokens, begin_by_characters, begin_by_tokens
from loquela.data.splitters.parts import parts
from loquela.data.splitters.places import Chunk, placed, trimmed
from loquela.recipe.splitter_section import SplitterOptions

__all__ = ["Chunk", "split_text"]


def split_text(
    text: str, options: SplitterOptions, count_tokens: CountTokens | None = None, *, document_bytes: int = 4096
) -> Iterator[Chunk]:
    """The chunks of `text` in order; white space at their ends is left out (but for the method `paragraphs`).

    No chunk is longer than `chunk_size`; the end of one that is followed by more white space than `overlap` is not
    repeated. `count_tokens` is needed for the method `token`; `document_bytes` is the size of a paragraph chunk where
    the options name none. Raises RecipeError(CONFIG_INVALID) without a tokenizer, ResourceError(MISSING_EXTRA).
    """
    size = options.size(document_bytes)
    if options.method == "paragraphs":
        yield from placed(text, cut(iter([text]), size))
    elif options.method != "token":
        yield from _by_characters(text, options, size)
    elif count_tokens is None:
        raise RecipeError(
            ErrorCode.CONFIG_INVALID,
            "data.splitter.method: token measures in tokens, and there is no tokenizer to count them",
            "name one in data.splitter.tokenizer, or use data.splitter.method: recursive",
        )
    else:
        yield from _by_tokens(text, options, size, count_tokens)


def _by_characters(text: str, options: SplitterOptions, size: int) -> Iterator[Chunk]:
    bodies = (
        trimmed(text, part.start, part.end) for part in placed(text, parts(text, options, size - options.overlap))
    )

    def begin(last: Chunk, body: Chunk) -> int:
        return begin_by_characters(text, last.end, body.end, size, options.overlap)

    yield from _overlapping(text, bodies, begin) if options.overlap else filter(None, bodies)


def _by_tokens(text: str, options: SplitterOptions, size: int, count: CountTokens) -> Iterator[Chunk]:
    room = size - options.overlap

    def at_least_one(piece: str) -> int:
        # The library repeats parts that measure nothing, as white space may.
        return max(1, count(piece))

    bodies = (
        trimmed(text, start, end)
        for part in placed(text, parts(text, options, room, at_least_one))
        for start, end in _within(text, part.start, part.end, room, count)
    )

    def begin(last: Chunk, body: Chunk) -> int:
        return begin_by_tokens(text, last.start, last.end, body.end, size, options.overlap, count)

    yield from _overlapping(text, bodies, begin) if options.overlap else filter(None, bodies)


def _overlapping(text: str, bodies: Iterable[Chunk | None], begin_of: Callable[[Chunk, Chunk], int]) -> Iterator[Chunk]:
    """Each body from where `begin_of` says; a chunk that would lie within the next one is left to that."""
    last: Chunk | None = None
    for body in bodies:
        if body is None:
            continue
        begin = body.start
        if last is not None:
            begin = max(last.start, min(body.start, begin_of(last, body)))
            if begin > last.start:
                yield last
        last = trimmed(text, begin, body.end)
    if last is not None:
        yield last


def _within(text: str, start: int, end: int, room: int, count: CountTokens) -> Iterator[tuple[int, int]]:
    """[start, end) in halves until each has at most `room` tokens: joined parts may have more than they had apart."""
    if end - start < 2 or count(text[start:end].strip()) <= room:
        yield start, end
        return
    middle = (start + end) // 2
    space = text.rfind(" ", start + 1, middle)
    middle = space if space > 0 else middle
    yield from _within(text, start, middle, room, count)
    yield from _within(text, middle, end, room, count)
