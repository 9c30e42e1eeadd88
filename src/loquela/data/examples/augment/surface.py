"""The same words as people really type them: other case, other white space, no end mark."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

from loquela.data.examples.augment.sentences import has_code, lowered, material_start
from loquela.data.examples.augment.variation import Variation

_SPACES = re.compile(r"[ \t\u00a0]+")
_BLANK_LINES = re.compile(r"\n{3,}")
_QUOTED = re.compile(r"[\"“”«»`]|(?<!\w)'")


def surface_variations(text: str) -> Iterator[Variation]:
    """Nothing for text with code, quotes or material behind a colon, where case and white space mean something."""
    if has_code(text) or _QUOTED.search(text) or material_start(text.strip()) < len(text.strip()):
        return
    if text.endswith((".", "?", "!")) and text[-2:-1] not in ".?!":
        yield Variation(text[:-1].lstrip("¿¡"), "surface:no_end_mark")
    yield Variation(text.lower(), "surface:lower_case")
    yield Variation(lowered(text), "surface:small_first_letter")
    yield Variation(f" {text}", "surface:space_before")


def normalize(text: str) -> str:
    """NFC, one space for several, at most one blank line in a row, no white space around; code stays as it is."""
    parts = re.split(r"(```.*?```)", text, flags=re.DOTALL)
    return "".join(part if part.startswith("```") else _plain(part) for part in parts).strip()


def _plain(text: str) -> str:
    lines = (_SPACES.sub(" ", line).strip(" ") for line in unicodedata.normalize("NFC", text).split("\n"))
    return _BLANK_LINES.sub("\n\n", "\n".join(lines))
