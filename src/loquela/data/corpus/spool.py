"""Documents on their way into a corpus, on disk, with fixed-size rows beside them.

part/
  drafts.jsonl      one `Draft` a line, in the order of the source
  rows.bin          one `ROW` a document: where its line is, digests, sizes, what it belongs to
  signatures.bin    its MinHash signature, where near duplicates are looked for
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from loquela.core.atomic import atomic_path
from loquela.data.corpus.drafts import Draft
from loquela.data.corpus.near_duplicates import PERMUTATIONS, Signature, Signatures

# Rows, and signatures, that are in memory at once: 300 and 450 kB of them.
BLOCK_ROWS, BLOCK_SIGNATURES = 4096, 1024
DRAFTS_NAME, ROWS_NAME, SIGNATURES_NAME = "drafts.jsonl", "rows.bin", "signatures.bin"

# `id` is the digest of the text, `key` that by which exact duplicates are the same; `split_key` 0 is none.
ROW = np.dtype(
    [
        ("offset", "<u8"),
        ("length", "<u8"),
        ("bytes", "<u8"),
        ("id", "<u8", 2),
        ("key", "<u8", 2),
        ("text", "<u8"),
        ("split_key", "<u8"),
        ("stratum", "<u8"),
    ]
)
Rows = NDArray[np.void]


def number_of(name: str) -> int:
    """A 64-bit number for `name`, never 0, the same everywhere."""
    return int.from_bytes(hashlib.sha256(name.encode("utf-8")).digest()[:8], "little") or 1


class SpoolWriter:
    """Writes the documents of one part; its files appear when the `with` block ends without an error."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.documents = 0
        self._offset = 0
        self._files = ExitStack()

    def __enter__(self) -> Self:
        drafts, rows, signatures = (
            self._files.enter_context(atomic_path(self.directory / name)).open("wb", buffering=1 << 20)
            for name in (DRAFTS_NAME, ROWS_NAME, SIGNATURES_NAME)
        )
        self._drafts, self._rows, self._signatures = drafts, rows, signatures
        for stream in (drafts, rows, signatures):
            self._files.enter_context(stream)
        return self

    def write(
        self, draft: Draft, size_bytes: int, key: str, entry: str, stratum: str, signature: Signature | None
    ) -> None:
        """Append one document; `key` is a digest in hex, `entry` the source's key."""
        line = draft.model_dump_json(exclude_none=True).encode("utf-8") + b"\n"
        row = np.zeros(1, dtype=ROW)
        row["offset"], row["length"], row["bytes"] = self._offset, len(line), size_bytes
        row["id"], row["key"] = _halves(draft.id), _halves(key)
        row["text"] = draft.text_number
        row["split_key"] = 0 if draft.split_key is None else number_of(f"{entry}\0{draft.split_key}")
        row["stratum"] = number_of(stratum)
        self._drafts.write(line)
        self._rows.write(row.tobytes())
        if signature is not None:
            self._signatures.write(signature.tobytes())
        self._offset += len(line)
        self.documents += 1

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._files.__exit__(kind, error, trace)


def _halves(digest: str) -> tuple[int, int]:
    number = int(digest[:32], 16)
    return number >> 64, number & (1 << 64) - 1


class Spool:
    """The documents of all parts in order, numbered from 0; nothing but what is asked for is in memory."""

    def __init__(self, parts: Sequence[Path]) -> None:
        self._parts = list(parts)
        counts = [(part / ROWS_NAME).stat().st_size // ROW.itemsize for part in self._parts]
        self._starts = np.concatenate(([0], np.cumsum(counts))).astype(np.int64)

    def __len__(self) -> int:
        return int(self._starts[-1])

    def blocks(self) -> Iterator[tuple[int, Rows]]:
        """The rows in order, some at a time, with the number of the first; "text" is counted through all parts."""
        position, texts_before, texts = 0, 0, 0
        for part in self._parts:
            with (part / ROWS_NAME).open("rb") as stream:
                while len(rows := np.fromfile(stream, dtype=ROW, count=BLOCK_ROWS)):
                    rows["text"] += np.uint64(texts_before)
                    texts = int(rows["text"][-1]) + 1
                    yield position, rows
                    position += len(rows)
            texts_before = texts

    def _row(self, number: int) -> tuple[Path, Rows]:
        part = int(np.searchsorted(self._starts, number, side="right")) - 1
        offset = (number - int(self._starts[part])) * ROW.itemsize
        return self._parts[part], np.fromfile(self._parts[part] / ROWS_NAME, dtype=ROW, count=1, offset=offset)

    def id_of(self, number: int) -> str:
        """The id of document `number`."""
        _, row = self._row(number)
        high, low = row["id"][0].tolist()
        return f"{high << 64 | low:032x}"

    def draft(self, number: int) -> Draft:
        """Document `number`, read again."""
        part, row = self._row(number)
        with (part / DRAFTS_NAME).open("rb") as stream:
            stream.seek(int(row["offset"][0]))
            return Draft.model_validate_json(stream.read(int(row["length"][0])))

    def drafts(self) -> Iterator[Draft]:
        """All documents in order."""
        for part in self._parts:
            with (part / DRAFTS_NAME).open("rb") as stream:
                for line in stream:
                    yield Draft.model_validate_json(line)

    def signatures(self) -> SignatureFiles:
        """The signatures of all documents."""
        return SignatureFiles([part / SIGNATURES_NAME for part in self._parts], self._starts)


class SignatureFiles:
    """Signatures read from their files when they are asked for."""

    def __init__(self, files: Sequence[Path], starts: NDArray[np.int64]) -> None:
        self._files = files
        self._starts = starts

    def __len__(self) -> int:
        return int(self._starts[-1])

    def blocks(self) -> Iterator[tuple[int, Signatures]]:
        """The signatures in order, some at a time, with the number of the first."""
        position = 0
        for file in self._files:
            with file.open("rb") as stream:
                while len(block := np.fromfile(stream, dtype="<u4", count=BLOCK_SIGNATURES * PERMUTATIONS)):
                    signatures = block.reshape(-1, PERMUTATIONS)
                    yield position, signatures
                    position += len(signatures)

    def row(self, number: int) -> Signature:
        """One signature."""
        part = int(np.searchsorted(self._starts, number, side="right")) - 1
        offset = (number - int(self._starts[part])) * PERMUTATIONS * 4
        return np.fromfile(self._files[part], dtype="<u4", count=PERMUTATIONS, offset=offset)
