"""What is used of pypdfium2, which has no types for mypy; `raw` is the engine's handle."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from typing import Protocol


class PageObject(Protocol):
    """Something drawn on a page."""

    raw: ctypes.c_void_p

    def get_bounds(self) -> tuple[float, float, float, float]:
        """Left, bottom, right, top in points."""


class TextPage(Protocol):
    """The text of a page as it was when this was made."""

    raw: ctypes.c_void_p

    def get_text_range(self) -> str:
        """The whole text, lines ended by CR LF."""

    def close(self) -> None:
        """Free it."""


class Page(Protocol):
    """A page."""

    def get_textpage(self) -> TextPage:
        """Its text."""

    def get_objects(self, filter: list[int], max_depth: int = 15) -> Iterator[PageObject]:
        """What is drawn on it, of the kinds in `filter`."""

    def close(self) -> None:
        """Free it."""


class Document(Protocol):
    """A PDF."""

    def __len__(self) -> int:
        """Number of pages."""

    def __getitem__(self, index: int) -> Page:
        """A page, from 0."""

    def get_metadata_dict(self) -> dict[str, str]:
        """What the document says of itself."""

    def close(self) -> None:
        """Free it."""
