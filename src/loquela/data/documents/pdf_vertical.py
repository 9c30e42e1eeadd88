"""Japanese and Chinese set in columns: the engine drops text runs whose box it takes to have no width.

A run of vertical glyphs is often measured as 0 points wide, and such runs vanish without a word (49 of the 65 lines of
a page seen). Slanted by a hair, they are seen; and since the engine sorts lines from left to right, a page of mostly
vertical runs is read in the order in which it was drawn.
"""

from __future__ import annotations

import ctypes
from contextlib import closing
from types import ModuleType

from loquela.data.documents.pdfium_types import Page, PageObject, TextPage

NO_WIDTH = 2.0  # points
SLANT = 0.001
SAME_COLUMN = 1.0  # points


def vertical_text(page: Page, raw: ModuleType) -> str | None:
    """The text of a page with vertical runs; None where there are none."""
    runs = [(run, run.get_bounds()) for run in page.get_objects(filter=[raw.FPDF_PAGEOBJ_TEXT])]
    vertical = [box[2] - box[0] < NO_WIDTH < box[3] - box[1] for _, box in runs]
    if not any(vertical):
        return None
    for (run, _), is_vertical in zip(runs, vertical, strict=True):
        if is_vertical:
            raw.FPDFPageObj_Transform(run.raw, 1, 0, SLANT, 1, 0, 0)
    with closing(page.get_textpage()) as text_page:
        if sum(vertical) * 2 < len(runs):
            return text_page.get_text_range().replace("\r\n", "\n")
        lines: list[str] = []
        column: float | None = None
        for run, (left, *_) in runs:
            text = _run_text(run, text_page, raw)
            if lines and column is not None and abs(left - column) < SAME_COLUMN:
                lines[-1] += text
            else:
                lines.append(text)
            column = left
    return "\n".join(lines)


def _run_text(run: PageObject, text_page: TextPage, raw: ModuleType) -> str:
    size: int = raw.FPDFTextObj_GetText(run.raw, text_page.raw, None, 0)
    buffer = ctypes.create_string_buffer(size)
    raw.FPDFTextObj_GetText(run.raw, text_page.raw, ctypes.cast(buffer, ctypes.POINTER(raw.FPDF_WCHAR)), size)
    return buffer.raw.decode("utf-16-le", "replace").rstrip("\0")
