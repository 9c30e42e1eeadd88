"""Which training documents a tokenizer is learnt from, and which it is measured on: a function of their digests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from loquela.artifacts.corpus import read_documents
from loquela.core.errors import DataError, ErrorCode

HEX_DIGITS = 12


class Holdout:
    """Divides the train split of the corpus in `directory`.

    A document is held out when its digest, read as a number in [0, 1), is below `fraction`. The smallest is always
    held out and the largest never is, so that neither side is empty; DataError(INSUFFICIENT_DATA) for fewer than
    two documents.
    """

    def __init__(self, directory: Path, fraction: float) -> None:
        self.directory = directory
        self.fraction = fraction
        ids = [document.id for document in read_documents(directory, "train")]
        if len(ids) < 2:
            raise DataError(
                ErrorCode.INSUFFICIENT_DATA,
                f"the training part of the corpus has {len(ids)} document(s); a tokenizer needs one to learn from and "
                "one to be measured on",
                "add sources, or lower data.document_bytes",
                details={"documents": len(ids)},
            )
        self._smallest, self._largest = min(ids), max(ids)

    def learnt_from(self) -> Iterator[str]:
        """Texts that the tokenizer is trained on."""
        return self._texts(held_out=False)

    def held_out(self) -> Iterator[str]:
        """Texts that it has never seen."""
        return self._texts(held_out=True)

    def _texts(self, *, held_out: bool) -> Iterator[str]:
        for document in read_documents(self.directory, "train"):
            if self._is_held_out(document.id) == held_out:
                yield document.text

    def _is_held_out(self, document_id: str) -> bool:
        if document_id in (self._smallest, self._largest):
            return document_id == self._smallest
        return int(document_id[:HEX_DIGITS], 16) < self.fraction * float(16**HEX_DIGITS)
