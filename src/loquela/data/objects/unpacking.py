"""An object as it lies → the objects inside it: plain, compressed once, or the members of one archive.

Deeper nesting is not followed: an archive inside an archive is passed over and counted. The ledger's arrow "read"
takes in the bytes as they lie; what unpacking adds stands there by reason.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

from loquela.core.errors import DataError, ErrorCode
from loquela.data.objects.archives import Member, PassedOver, archive_of, members
from loquela.data.objects.compression import SUFFIXES, Growth, compression_of, decompressed
from loquela.data.objects.limits import ObjectLimits
from loquela.data.objects.streams import Peeked
from loquela.data.source_object import SourceObject
from loquela.data.tally import Tally

# The first member of what is a zip archive by its form only (Office, OpenDocument, EPUB, Java).
DOCUMENT_PARTS = ("[Content_Types].xml", "mimetype", "_rels/", "docProps/", "word/", "META-INF/")
LOCAL_HEADER_BYTES = 30


@dataclass(frozen=True)
class Unpacked:
    """An object that can be read, with its first bytes; `size_bytes` is what it counts for if it is not."""

    source: SourceObject
    head: bytes
    size_bytes: int


def unpacked(raw: SourceObject, limits: ObjectLimits, tally: Tally) -> Iterator[Unpacked]:
    """What is inside `raw`, whose size is known, in order; whoever takes one reads it to its end or not at all.

    A reader counts the bytes it takes as entering "read" (`Unpacked.size_bytes` if it takes none). Raises what
    `decompressed` and `members` raise.
    """
    with Peeked(raw) as peeked:
        source, size = replace(raw, open_at=peeked.open_at), raw.size_bytes or 0
        kind = compression_of(peeked.head)
        if kind is not None:
            growth = Growth()
            inside = decompressed(source, kind, limits, growth)
            yield from _inside_compressed(inside, growth, size, kind, limits, tally)
        elif is_archive(raw.name, peeked.head):
            archive = archive_of(peeked.head) or ""
            yield from _counted_members(members(source, archive, size, limits), size, limits, tally)
        else:
            yield Unpacked(source, peeked.head, size)


def is_archive(name: str, head: bytes) -> bool:
    """Whether the object is a collection of files, not one document that happens to be kept as an archive."""
    kind = archive_of(head)
    if kind != "zip":
        return kind is not None
    length = int.from_bytes(head[26:28], "little")
    first = head[LOCAL_HEADER_BYTES : LOCAL_HEADER_BYTES + length].decode("utf-8", "replace")
    return PurePosixPath(name).suffix.lower() == ".zip" or not first.startswith(DOCUMENT_PARTS)


def inner_name(name: str) -> str:
    """`name` without the suffix of a compression: what the object inside would be called."""
    path = PurePosixPath(name)
    return name[: -len(path.suffix)] if path.suffix.lower() in SUFFIXES else name


def _inside_compressed(
    inside: SourceObject, growth: Growth, packed_bytes: int, kind: str, limits: ObjectLimits, tally: Tally
) -> Iterator[Unpacked]:
    with Peeked(inside) as peeked:
        source = replace(inside, open_at=peeked.open_at)
        deeper = compression_of(peeked.head) or (
            archive_of(peeked.head) == "zip" and is_archive(inside.name, peeked.head)
        )
        if deeper:
            raise DataError(
                ErrorCode.UNSUPPORTED_FORMAT,
                f"{inside.name} is packed twice: inside its {kind} data is another packed file",
                "unpack the outer one yourself",
                details={"source": inside.name},
            )
        if archive_of(peeked.head) == "tar":
            yield from _counted_members(members(source, "tar", None, limits), packed_bytes, limits, tally)
            return
        yield Unpacked(source, peeked.head, packed_bytes)
        if peeked.taken:
            added = growth.bytes - packed_bytes
            tally.enter("read", -added)
            tally.change("read", f"unpacked_{kind}", added)


def _counted_members(
    found: Iterator[Member], packed_bytes: int, limits: ObjectLimits, tally: Tally
) -> Iterator[Unpacked]:
    """The members, each counted as entering "read" by its reader; here the archive in the place of them all."""
    count = size = 0
    for member in found:
        count += 1
        size += member.size_bytes or 0
        if isinstance(member, PassedOver):
            pass_over(tally, member.size_bytes, member.reason)
            continue
        with Peeked(member) as peeked:
            if compression_of(peeked.head) or is_archive(member.name, peeked.head):
                pass_over(tally, member.size_bytes or 0, "packed_inside_an_archive")
            else:
                yield Unpacked(replace(member, open_at=peeked.open_at), peeked.head, member.size_bytes or 0)
    tally.enter("read", packed_bytes - size, 1 - count)
    tally.change("read", "unpacked_archive", size - packed_bytes, count - 1)


def pass_over(tally: Tally, size_bytes: int, reason: str) -> None:
    """Count an object that is not read."""
    tally.enter("read", size_bytes, 1)
    tally.change("read", reason, -size_bytes, -1)
