"""Chunks: their places are exact, their size is a limit, and the overlap is there."""

from __future__ import annotations

import random
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from loquela.core.errors import ErrorCode, InternalError, RecipeError
from loquela.data.splitters.places import placed
from loquela.data.splitters.split import Chunk, split_text
from loquela.recipe.splitter_section import SplitterOptions

BOOK = Path(__file__).parents[2] / "../shared/data/gutenberg/en/carroll_alice_in_wonderland.txt"
TEXTS = st.lists(
    st.sampled_from(["word", "another", "a", "ñandú", "漢字", "\n\n", "\n", " ", "  ", "# Head", ". ", "x" * 40, "\t"]),
    max_size=120,
).map(" ".join)


def made_text(paragraphs: int = 200) -> str:
    """Paragraphs of 30 to 900 characters."""
    source = random.Random(7)
    words = [
        "the",
        "cat",
        "sat",
        "under",
        "an",
        "enormous",
        "umbrella",
        "while",
        "rain",
        "fell",
        "outside",
        "and",
        "slept",
    ]
    made = [" ".join(source.choice(words) for _ in range(source.randint(6, 180))) + "." for _ in range(paragraphs)]
    return "\n\n".join(made)


def count_tokens(text: str) -> int:
    """Four bytes a token, and the space before a word belongs to it: as uneven as real tokenizers are."""
    return sum((len(word.encode()) + 3) // 4 for word in text.split())


def check(text: str, chunks: list[Chunk], size: int, measure: Callable[[str], int] = len) -> None:
    covered = set()
    for before, chunk in zip([None, *chunks], chunks, strict=False):
        assert text[chunk.start : chunk.end] == chunk.text
        assert chunk.text == chunk.text.strip() != ""
        assert measure(chunk.text) <= size
        if before is not None:
            assert before.start < chunk.start and before.end < chunk.end
        covered.update(range(chunk.start, chunk.end))
    assert all(place in covered for place, character in enumerate(text) if not character.isspace())


def overlaps(chunks: list[Chunk]) -> list[int]:
    return [before.end - after.start for before, after in pairwise(chunks)]


@given(TEXTS, st.sampled_from(["recursive", "character"]), st.integers(8, 60), st.integers(0, 4))
@settings(max_examples=60, deadline=None)
def test_places_and_sizes_of_any_text(text: str, method: str, size: int, overlap: int) -> None:
    options = SplitterOptions.model_validate({"method": method, "chunk_size": size, "overlap": overlap})
    check(text, list(split_text(text, options)), size)


@given(TEXTS, st.integers(8, 40), st.integers(0, 4))
@settings(max_examples=40, deadline=None)
def test_tokens_of_any_text(text: str, size: int, overlap: int) -> None:
    options = SplitterOptions(method="token", chunk_size=size, overlap=overlap)
    check(text, list(split_text(text, options, count_tokens)), size, count_tokens)


@given(TEXTS)
@settings(max_examples=40, deadline=None)
def test_paragraphs_joined_are_the_text(text: str) -> None:
    chunks = list(split_text(text, SplitterOptions(chunk_size=64)))
    assert "".join(chunk.text for chunk in chunks) == text
    assert all(text[chunk.start : chunk.end] == chunk.text for chunk in chunks)


@pytest.mark.parametrize("method", ["recursive", "character"])
def test_every_neighbour_shares_an_overlap(method: str) -> None:
    text = made_text()
    options = SplitterOptions.model_validate({"method": method, "chunk_size": 1000, "overlap": 200})
    chunks = list(split_text(text, options))
    check(text, chunks, 1000)
    shared = overlaps(chunks)
    assert min(shared) > 150 and max(shared) <= 200
    assert all(chunk.start == 0 or text[chunk.start - 1].isspace() for chunk in chunks)


def test_every_neighbour_shares_tokens() -> None:
    text = made_text(60)
    chunks = list(split_text(text, SplitterOptions(method="token", chunk_size=120, overlap=30), count_tokens))
    check(text, chunks, 120, count_tokens)
    shared = [count_tokens(text[after.start : before.end]) for before, after in pairwise(chunks)]
    assert min(shared) > 20 and max(shared) <= 30


def test_the_library_alone_leaves_neighbours_without_overlap() -> None:
    """What the overlap of our own is for; should this fail one day, theirs would do."""
    from langchain_text_splitters import RecursiveCharacterTextSplitter

    splitter = RecursiveCharacterTextSplitter(chunk_size=1000, chunk_overlap=200, add_start_index=True)
    found = splitter.create_documents([made_text()])
    ends = [document.metadata["start_index"] + len(document.page_content) for document in found]
    bare = sum(after.metadata["start_index"] >= end for end, after in zip(ends, found[1:], strict=False))
    assert bare > 0.2 * len(found)


@pytest.mark.skipif(not BOOK.is_file(), reason="the shared material is not on this machine")
def test_a_book() -> None:
    text = BOOK.read_text(encoding="utf-8")
    chunks = list(split_text(text, SplitterOptions(method="recursive", chunk_size=1000, overlap=200)))
    check(text, chunks, 1000)
    assert min(overlaps(chunks)) > 100


def test_a_word_longer_than_the_overlap_is_cut() -> None:
    text = "x" * 100
    chunks = list(split_text(text, SplitterOptions(method="recursive", chunk_size=20, overlap=5)))
    assert set(overlaps(chunks)) == {5}
    tokens = list(split_text(text, SplitterOptions(method="token", chunk_size=10, overlap=3), count_tokens))
    check(text, tokens, 10, count_tokens)
    assert min(overlaps(tokens)) > 0


def test_headings_begin_chunks() -> None:
    section = "text of it. " * 6
    text = "".join(f"## Part {number}\n\n{section}\n\n" for number in range(6))
    chunks = list(split_text(text, SplitterOptions(method="recursive", chunk_size=100, structure="markdown")))
    assert len(chunks) == 6 and all(chunk.text.startswith("## Part") for chunk in chunks)
    page = "".join(f"<h2>Part {number}</h2><p>{section}</p>" for number in range(6))
    pieces = list(split_text(page, SplitterOptions(method="recursive", chunk_size=100, structure="html")))
    check(page, pieces, 100)
    assert sum(piece.text.startswith("<h2>") for piece in pieces) == 6


def test_own_separators_are_not_patterns() -> None:
    text = "a.b.c|d.e.f|g.h.i"
    chunks = list(split_text(text, SplitterOptions(method="recursive", chunk_size=8, separators=["|", "."])))
    assert [chunk.text for chunk in chunks] == ["a.b.c", "|d.e.f", "|g.h.i"]


def test_tokens_need_a_tokenizer() -> None:
    with pytest.raises(RecipeError, match="there is no tokenizer to count them") as caught:
        list(split_text("text", SplitterOptions(method="token")))
    assert caught.value.code == ErrorCode.CONFIG_INVALID


@pytest.mark.parametrize("wrong", ["abd", "abcd", "ab"])
def test_parts_that_are_not_the_text_are_a_bug(wrong: str) -> None:
    with pytest.raises(InternalError, match="the parts of a text do not join to it again: they differ from"):
        list(placed("abc", [wrong]))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"overlap": 10}, "overlap, separators and structure are for the methods"),
        ({"method": "character", "separators": ["a", "b"]}, "the method character cuts at one separator"),
        ({"method": "recursive", "separators": ["a", ""]}, "separators must not be empty"),
        ({"method": "recursive", "chunk_size": 100, "overlap": 51}, "overlap 51 is more than half of chunk_size 100"),
    ],
)
def test_options_that_do_not_fit_together(wrong: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        SplitterOptions.model_validate(wrong)


def test_usual_sizes() -> None:
    assert SplitterOptions().size(5000) == 5000
    assert SplitterOptions(method="token").size(5000) == 512
    assert SplitterOptions(method="recursive", chunk_size=99).size(5000) == 99
