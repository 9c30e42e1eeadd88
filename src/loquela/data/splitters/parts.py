"""Thin typed adapter around langchain-text-splitters: parts that, joined, are the text."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from loquela.core.extras import require
from loquela.recipe.splitter_section import SplitterOptions

USUAL_SEPARATORS = ("\n\n", "\n", " ")
ANYWHERE = ""
# From the largest unit down, so that a chunk holds whole sections where it can.
OF_STRUCTURE = {
    "none": (),
    "markdown": tuple(f"\n{'#' * level} " for level in range(1, 7)),
    "html": tuple(f"<{tag}" for tag in "h1 h2 h3 h4 h5 h6 section article table ul ol div p li tr br".split()),
}


class Splitter(Protocol):
    """What is used of the library's splitters."""

    def split_text(self, text: str) -> list[str]:
        """The parts of `text`, in order."""


def parts(text: str, options: SplitterOptions, size: int, length: Callable[[str], int] = len) -> list[str]:
    """Parts of `text` of at most `size` as `length` measures, cut where the options prefer; joined, they are `text`."""
    library = require("langchain_text_splitters", extra="documents", purpose=f"data.splitter.method: {options.method}")
    separators = options.separators or [*OF_STRUCTURE[options.structure], *USUAL_SEPARATORS]
    if options.method == "character":
        separators = separators[:1]
    splitter: Splitter = library.RecursiveCharacterTextSplitter(
        separators=[*separators, ANYWHERE],
        keep_separator=True,
        strip_whitespace=False,
        chunk_size=size,
        chunk_overlap=0,
        length_function=length,
    )
    return splitter.split_text(text)
