"""A stream of texts that remembers whether it carried anything."""

from __future__ import annotations

from collections.abc import Iterator


class TextSeen:
    """Passes texts on; `any` tells whether one of them was not empty."""

    def __init__(self, texts: Iterator[str]) -> None:
        self._texts = texts
        self.any = False

    def __iter__(self) -> Iterator[str]:
        for text in self._texts:
            self.any = self.any or bool(text)
            yield text
