"""How much an object may grow when it is unpacked."""

from __future__ import annotations

from dataclasses import dataclass

from loquela.core.errors import DataError, ErrorCode
from loquela.recipe.schema import DataSection

# As for downloads: a source may be larger than the expected corpus, but not so much that the disk check meant nothing.
SIZE_FACTOR = 10
# Prose packs 3 to 6 times, logs up to about 100 times; deflate's own limit is 1032.
MAX_RATIO = 200
# Small things may be anything: 1 kB of zeros is 20 bytes.
FREE_BYTES = 16 << 20


@dataclass(frozen=True)
class ObjectLimits:
    """`max_bytes` of one packed object, everything in it unpacked; `max_ratio` of unpacked to packed bytes."""

    max_bytes: int = SIZE_FACTOR * 8 * 10**6
    max_ratio: int = MAX_RATIO

    def check(self, name: str, packed_bytes: int, unpacked_bytes: int) -> None:
        """DataError(CORRUPT_DATA) for a bomb, DataError(INSUFFICIENT_RESOURCES) for what is merely too large."""
        if unpacked_bytes > FREE_BYTES and unpacked_bytes > self.max_ratio * max(1, packed_bytes):
            raise DataError(
                ErrorCode.CORRUPT_DATA,
                f"{name} grows more than {self.max_ratio} times when it is unpacked "
                f"({packed_bytes:,} → {unpacked_bytes:,} bytes and more): a bomb, not text",
                "remove it from data.sources; if you trust it, unpack it yourself and give the files",
                details={"source": name, "packed_bytes": packed_bytes, "unpacked_bytes": unpacked_bytes},
            )
        if unpacked_bytes > self.max_bytes:
            raise DataError(
                ErrorCode.INSUFFICIENT_RESOURCES,
                f"{name} unpacks to more than {self.max_bytes:,} bytes, {SIZE_FACTOR} times data.corpus_size_mb",
                "set data.corpus_size_mb to the real size of the corpus, so that the disk check knows it",
                details={"source": name, "max_bytes": self.max_bytes},
            )


def limits_of(section: DataSection) -> ObjectLimits:
    """The limits that a recipe's data section sets."""
    return ObjectLimits(max_bytes=SIZE_FACTOR * section.corpus_size_mb * 10**6)
