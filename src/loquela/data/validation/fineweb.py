"""FineWeb's own rules (Penedo et al. 2024, section 3.6), beside those it takes from Gopher and C4."""

from __future__ import annotations

from loquela.data.validation.gopher_repetition import repeated_parts
from loquela.data.validation.layout import Layout

SHORT_LINE_CHARACTERS = 30
# A sentence that ends in a quotation ends after its mark; the published code sees no end there and drops dialogues.
CLOSING = "\"'”’»)]_*"
# Unicode's sentence terminals of scripts in everyday use; a closing quote is none.
TERMINALS = tuple(".!?‼‽⁇⁈⁉։؟۔।॥၊။።፧។៕᠃᠉。！．？｡")


def measure(layout: Layout) -> dict[str, float]:
    """Every rule's value."""
    lines = layout.contents
    count = max(1, len(lines))
    ends = (line.rstrip(CLOSING) for line in lines) if layout.unwraps else lines
    values = {
        "punctuated_lines": sum(line.endswith(TERMINALS) for line in ends) / count,
        "short_lines": sum(len(line) <= SHORT_LINE_CHARACTERS for line in lines) / count,
        "duplicate_line_characters": repeated_parts(lines)[1] / max(1, sum(map(len, lines))),
        "line_feeds": layout.line_feeds / max(1, len(layout.words.words)),
    }
    return {f"fineweb.{name}": float(value) for name, value in values.items()}
