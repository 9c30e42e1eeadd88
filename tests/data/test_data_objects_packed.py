"""Compressed files and archives: unpacked within limits, told by their bytes; what is broken names its place."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import random
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import BinaryIO

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from loquela.core.errors import DataError, ErrorCode
from loquela.data.objects.archives import PassedOver, archive_of, members
from loquela.data.objects.compression import compression_of, decompressed
from loquela.data.objects.limits import ObjectLimits, limits_of
from loquela.data.objects.streams import Peeked, SeekableObject
from loquela.data.objects.unpacking import Unpacked, unpacked
from loquela.data.source_object import SourceObject
from loquela.data.tally import Tally
from loquela.recipe.schema import DataSection

PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "gz": lambda data: gzip.compress(data, mtime=0),
    "zst": zstandard.ZstdCompressor(write_checksum=True).compress,
    "bz2": bz2.compress,
    "xz": lzma.compress,
}
LIMITS = ObjectLimits(max_bytes=10**8)
TEXT = "".join(f"{random.Random(n).random()} línea {n}\n" for n in range(9000)).encode()


class Bytes:
    """An object in memory that counts how often it is opened."""

    def __init__(self, data: bytes, name: str) -> None:
        self.data = data
        self.opened = 0
        self.source = SourceObject(name=name, open_at=self.open_at, size_bytes=len(data))

    @contextmanager
    def open_at(self, offset: int) -> Iterator[BinaryIO]:
        self.opened += 1
        yield io.BytesIO(self.data[offset:])


def whole(source: SourceObject, offset: int = 0) -> bytes:
    with source.open_at(offset) as stream:
        return stream.read()


def zip_of(files: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(zipfile.ZipInfo(name), data, zipfile.ZIP_DEFLATED)
    return out.getvalue()


def tar_of(files: dict[str, bytes], *extra: tarfile.TarInfo) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
        for info in extra:
            archive.addfile(info)
    return out.getvalue()


FILES = {"a.txt": b"uno\n", "d/b.txt": TEXT, "empty.txt": b"", "d/c.txt": bytes(512), "last.txt": b"x" * 1024}


# --- compressed files ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", PACKERS)
def test_unpacks_as_a_stream_and_from_the_middle(kind: str) -> None:
    packed = PACKERS[kind](TEXT) + PACKERS[kind](b"second member")
    assert compression_of(packed[:10]) == kind
    source = decompressed(Bytes(packed, "a.txt").source, kind, LIMITS)
    expected = TEXT + b"second member"
    assert whole(source) == expected
    assert whole(source, len(TEXT) - 3) == expected[len(TEXT) - 3 :]
    assert whole(source, len(expected) + 5) == b""
    assert whole(decompressed(Bytes(packed + bytes(100), "padded").source, kind, LIMITS)) == expected


@pytest.mark.parametrize("kind", PACKERS)
def test_what_is_cut_or_damaged_is_never_taken_for_whole(kind: str) -> None:
    packed = PACKERS[kind](TEXT)
    for cut in (len(packed) - 1, len(packed) // 2, 12):
        with pytest.raises(DataError, match=f"a.txt is cut off: its {kind} data ends after") as caught:
            whole(decompressed(Bytes(packed[:cut], "a.txt").source, kind, LIMITS))
        assert caught.value.code == ErrorCode.CORRUPT_DATA
    middle = len(packed) // 2
    spoilt = packed[:middle] + bytes(byte ^ 0xFF for byte in packed[middle : middle + 60]) + packed[middle + 60 :]
    with pytest.raises(DataError, match=f"a.txt is damaged {kind} data|a.txt is cut off"):
        whole(decompressed(Bytes(spoilt, "a.txt").source, kind, LIMITS))
    with pytest.raises(DataError, match=f"behind the end of its {kind} data that are none: 6a 75 6e 6b"):
        whole(decompressed(Bytes(packed + b"junk", "a.txt").source, kind, LIMITS))


@pytest.mark.parametrize("kind", PACKERS)
def test_a_bomb_is_noticed_while_it_is_small(kind: str) -> None:
    source = decompressed(Bytes(PACKERS[kind](bytes(50_000_000)), "bomb").source, kind, LIMITS)
    with source.open_at(0) as stream, pytest.raises(DataError, match="bomb grows more than 200 times") as caught:
        while stream.read(1 << 20):
            pass
    assert caught.value.code == ErrorCode.CORRUPT_DATA
    assert caught.value.details["unpacked_bytes"] < 50_000_000


def test_more_than_the_recipe_expects_is_refused() -> None:
    small = ObjectLimits(max_bytes=1000)
    with pytest.raises(DataError, match="a.txt unpacks to more than 1,000 bytes, 10 times data.corpus_size") as caught:
        whole(decompressed(Bytes(gzip.compress(TEXT), "a.txt").source, "gz", small))
    assert caught.value.code == ErrorCode.INSUFFICIENT_RESOURCES
    assert limits_of(DataSection(corpus_size_mb=3)).max_bytes == 30_000_000


@settings(max_examples=60, deadline=None)
@given(
    data=st.binary(max_size=400), kind=st.sampled_from(sorted(PACKERS)), flip=st.integers(0, 399), cut=st.integers(0)
)
def test_any_bytes_give_an_error_or_the_text(data: bytes, kind: str, flip: int, cut: int) -> None:
    packed = bytearray(PACKERS[kind](data))
    packed[flip % len(packed)] ^= 1 + flip % 255
    try:
        whole(decompressed(Bytes(bytes(packed[: cut % (len(packed) + 1)]), "x").source, kind, LIMITS))
    except DataError as error:
        assert error.code == ErrorCode.CORRUPT_DATA and error.remedy


# --- archives --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "make"), [("zip", zip_of), ("tar", tar_of)])
def test_members_come_in_order_from_one_open_stream(kind: str, make: Callable[[dict[str, bytes]], bytes]) -> None:
    archive = Bytes(make(FILES), f"x.{kind}")
    assert archive_of(archive.data[:512]) == kind
    found = {}
    later: list[SourceObject] = []
    for member in members(archive.source, kind, len(archive.data), LIMITS):
        assert isinstance(member, SourceObject)
        found[member.name.removeprefix(f"x.{kind}!/")] = whole(member)
        later.append(member)
    assert found == FILES and list(found) == list(FILES)
    assert archive.opened <= 4
    assert [whole(member, 2) for member in later] == [data[2:] for data in FILES.values()]


def test_a_packed_tar_is_unpacked_once() -> None:
    packed = Bytes(gzip.compress(tar_of(FILES)), "x.tar.gz")
    inside = decompressed(packed.source, "gz", LIMITS)
    found = [whole(member) for member in members(inside, "tar", None, LIMITS) if isinstance(member, SourceObject)]
    assert found == list(FILES.values())
    assert packed.opened == 1


def test_links_are_passed_over() -> None:
    link = tarfile.TarInfo("link")
    link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
    data = tar_of({"a.txt": b"a"}, link)
    found = list(members(Bytes(data, "x.tar").source, "tar", len(data), LIMITS))
    assert found[1] == PassedOver("x.tar!/link", 0, "archive_member_is_no_file")


@pytest.mark.parametrize("name", ["../a.txt", "/etc/a.txt", "d/../../a.txt", "C:\\a.txt", "..\\a.txt"])
@pytest.mark.parametrize(("kind", "make"), [("zip", zip_of), ("tar", tar_of)])
def test_names_that_lead_out_are_refused(name: str, kind: str, make: Callable[[dict[str, bytes]], bytes]) -> None:
    data = make({name: b"x"})
    with pytest.raises(DataError, match=f"x.{kind} holds a member whose name leads out of it") as caught:
        list(members(Bytes(data, f"x.{kind}").source, kind, len(data), LIMITS))
    assert caught.value.code == ErrorCode.CORRUPT_DATA


def tar_header(name: str, size: int, kind: bytes) -> bytes:
    made = tarfile.TarInfo(name)
    made.size, made.type = size, kind
    return made.tobuf(tarfile.GNU_FORMAT)


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK])
def test_a_tar_header_that_would_fill_memory_is_refused_unread(kind: bytes) -> None:
    """tarfile would take all of it into memory before it gives the member: what a gzip of some kilobytes makes."""
    bomb = tar_header("h", 2**33, kind) + bytes(3 << 20)
    archive = Bytes(gzip.compress(bomb), "x.tar.gz")
    with pytest.raises(DataError, match="tar archive: a member's header has more than 1,048,576 bytes"):
        list(members(decompressed(archive.source, "gz", LIMITS), "tar", None, LIMITS))


def test_headers_upon_headers_end() -> None:
    data = tar_header("h", 12, tarfile.XHDTYPE) + b"12 path=abc\n".ljust(512, b"\0")
    with pytest.raises(DataError, match="is a damaged or cut-off tar archive"):
        list(members(Bytes(data * 2000, "x.tar").source, "tar", len(data) * 2000, LIMITS))


def test_headers_for_all_members_are_not_gathered_without_end() -> None:
    data = b""
    for n in range(150):
        length = len(f"99 k{n}=abc\n") - (n < 10)
        record = f"{length} k{n}=abc\n".encode()
        data += tar_header("h", len(record), tarfile.XGLTYPE) + record.ljust(512, b"\0")
        data += tar_header(f"{n}.txt", 1, tarfile.REGTYPE) + b"x".ljust(512, b"\0")
    with pytest.raises(DataError, match="more than 100 headers are for all members"):
        list(members(Bytes(data, "x.tar").source, "tar", len(data), LIMITS))


def test_every_member_has_a_header_of_its_own() -> None:
    """What one of them may have is not for all of them together."""
    many = {f"{n}/{'é' * 200}.txt": b"x" for n in range(1200)}
    data = tar_of(many)
    assert len(data) > 2 << 20
    assert len(list(members(Bytes(data, "x.tar").source, "tar", len(data), LIMITS))) == 1200


@pytest.mark.parametrize("wide", [False, True])
def test_a_zip_directory_that_would_fill_memory_is_refused_unread(wide: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("loquela.data.objects.archives.MOST_DIRECTORY_BYTES", 3000)
    if wide:
        monkeypatch.setattr(zipfile, "ZIP_FILECOUNT_LIMIT", 3)
    data = zip_of({f"{n}.txt": b"x" for n in range(100)})
    if wide:
        # Two readers must not take it for two things: only the larger record tells the size.
        at = data.rindex(b"PK\x05\x06") + 12
        data = data[:at] + (20).to_bytes(4, "little") + data[at + 4 :]
    with pytest.raises(DataError, match="x.zip holds more than 1,000,000 members") as caught:
        list(members(Bytes(data, "x.zip").source, "zip", len(data), LIMITS))
    assert caught.value.code == ErrorCode.INSUFFICIENT_RESOURCES


def test_ten_gigabytes_of_nothing_are_given_up_early() -> None:
    """As a gzip of a hundred members. What was read ahead, 256 KiB, may have grown 200 times by then."""
    archive = Bytes(gzip.compress(bytes(100 << 20)) * 100, "x.txt.gz")
    read = 0
    with decompressed(archive.source, "gz", LIMITS).open_at(0) as stream:
        with pytest.raises(DataError, match="grows more than 200 times when it is unpacked"):
            while piece := stream.read(1 << 18):
                read += len(piece)
    assert read <= 50 << 20


def test_a_bomb_of_bombs_is_not_entered() -> None:
    inner = zip_of({"zeros.txt": bytes(1000)})
    for _ in range(3):
        inner = zip_of({f"{n}.zip": inner for n in range(4)})
    tally = Tally()
    assert inside(inner, "42.zip", tally) == []
    changes = {each.reason: each.items for each in tally.arrows()[0].changes}
    assert changes["packed_inside_an_archive"] == -4


def test_an_encrypted_member() -> None:
    data = bytearray(zip_of({"secret.txt": b"text"}))
    for magic, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(magic) + flags] |= 1
    with pytest.raises(DataError, match="x.zip!/secret.txt is encrypted: the archive asks for a password") as caught:
        list(members(Bytes(bytes(data), "x.zip").source, "zip", len(data), LIMITS))
    assert caught.value.code == ErrorCode.AUTH_FAILED


def test_a_method_of_packing_that_is_not_known() -> None:
    data = bytearray(zip_of({"a.txt": b"text"}))
    data[data.index(b"PK\x01\x02") + 10] = 99
    with pytest.raises(DataError, match="x.zip!/a.txt is packed by method 99, which is not known here"):
        list(members(Bytes(bytes(data), "x.zip").source, "zip", len(data), LIMITS))


@pytest.mark.parametrize(("kind", "make"), [("zip", zip_of), ("tar", tar_of)])
def test_a_broken_archive_names_what_is_broken(kind: str, make: Callable[[dict[str, bytes]], bytes]) -> None:
    data = make(FILES)
    place = data.index(TEXT[:9]) + 3000 if kind == "tar" else data.index(b"d/b.txt") + 3000
    with pytest.raises(DataError, match=rf"x.{kind}(!/d/b.txt is cut off after| is a damaged or cut-off zip)"):
        for member in members(Bytes(data[:place], f"x.{kind}").source, kind, place, LIMITS):
            whole(member)
    if kind == "zip":
        spoilt = data[:place] + b"\xff" * 50 + data[place + 50 :]
        with pytest.raises(DataError, match="x.zip!/d/b.txt is damaged or cut off"):
            for member in members(Bytes(spoilt, "x.zip").source, "zip", len(spoilt), LIMITS):
                whole(member)
    else:
        end = data.rindex(b"x" * 1024) + 1024
        with pytest.raises(DataError, match="x.tar is cut off: it ends without the end mark"):
            list(members(Bytes(data[:end], "x.tar").source, "tar", end, LIMITS))


def test_a_zip_bomb_is_refused_by_its_directory() -> None:
    data = zip_of({"zeros.txt": bytes(60_000_000)})
    with pytest.raises(DataError, match="grows more than 200 times when it is unpacked"):
        list(members(Bytes(data, "x.zip").source, "zip", len(data), LIMITS))


# --- one level deep, counted -----------------------------------------------------------------------------------


def inside(data: bytes, name: str, tally: Tally) -> list[tuple[str, bytes]]:
    """What a reader takes: each object read to its end, counted as a reader counts it."""
    found = []
    for part in unpacked(Bytes(data, name).source, LIMITS, tally):
        assert isinstance(part, Unpacked)
        content = whole(part.source)
        assert content.startswith(part.head)
        tally.enter("read", len(content), 1)
        tally.leave("read", len(content), 1)
        found.append((part.source.name, content))
    return found


@pytest.mark.parametrize(
    ("name", "data", "expected"),
    [
        ("a.txt", TEXT, {"a.txt": TEXT}),
        ("a.txt.gz", gzip.compress(TEXT), {"a.txt.gz": TEXT}),
        ("called.txt", zstandard.compress(TEXT), {"called.txt": TEXT}),
        ("x.zip", zip_of(FILES), {f"x.zip!/{name}": data for name, data in FILES.items()}),
        ("x.tgz", gzip.compress(tar_of(FILES)), {f"x.tgz!/{name}": data for name, data in FILES.items()}),
        (
            "x.zip",
            zip_of({"in.zip": zip_of(FILES), "b.gz": gzip.compress(TEXT), "c.txt": b"c"}),
            {"x.zip!/c.txt": b"c"},
        ),
        ("x.zip", zip_of({}), {}),
        ("empty.gz", gzip.compress(b""), {"empty.gz": b""}),
    ],
    # Packed bytes hold the time at which they were packed: as names they would differ from process to process.
    ids=["txt", "gz", "zstd", "zip", "tgz", "zip in zip", "empty zip", "empty gz"],
)
def test_the_ledger_adds_up_whatever_is_packed(name: str, data: bytes, expected: dict[str, bytes]) -> None:
    tally = Tally()
    assert dict(inside(data, name, tally)) == expected
    [read] = [arrow for arrow in tally.arrows() if arrow.arrow == "read"]
    assert (read.bytes_in, read.items_in) == (len(data), 1)
    assert read.bytes_in + sum(change.bytes for change in read.changes) == read.bytes_out
    assert read.items_in + sum(change.items for change in read.changes) == read.items_out == len(expected)


def test_packed_twice() -> None:
    for data in (gzip.compress(gzip.compress(TEXT)), bz2.compress(zip_of(FILES))):
        with pytest.raises(DataError, match="is packed twice: inside its .* data is another packed file"):
            inside(data, "x", Tally())


def test_a_zip_needs_to_be_seekable() -> None:
    inner = decompressed(Bytes(gzip.compress(zip_of(FILES)), "x.zip.gz").source, "gz", LIMITS)
    with pytest.raises(DataError, match="x.zip.gz is a zip archive inside a compressed file, which is one level too"):
        list(members(inner, "zip", None, LIMITS))


def test_a_document_that_is_a_zip_by_its_form_is_one_object() -> None:
    docx = zip_of({"[Content_Types].xml": b"<Types/>", "word/document.xml": b"<w/>"})
    assert [name for name, _ in inside(docx, "a.docx", Tally())] == ["a.docx"]


# --- streams ---------------------------------------------------------------------------------------------------


@settings(max_examples=50, deadline=None)
@given(steps=st.lists(st.tuples(st.integers(0, 5000), st.integers(0, 3000)), max_size=20), cheap=st.booleans())
def test_seeking_reads_what_is_there(steps: list[tuple[int, int]], cheap: bool) -> None:
    data = bytes(n % 251 for n in range(4000))
    source = Bytes(data, "x").source
    stream = SeekableObject(SourceObject("x", source.open_at, len(data), cheap_offsets=cheap), len(data))
    for offset, size in steps:
        stream.seek(offset)
        found = b""
        while len(found) < size and (piece := stream.read(size - len(found))):
            found += piece
        assert found == data[offset : offset + size]
    assert stream.seek(-10, io.SEEK_END) == 3990
    stream.close()


def test_looking_at_the_first_bytes_opens_once() -> None:
    data = Bytes(TEXT, "x")
    with Peeked(data.source) as peeked:
        assert TEXT.startswith(peeked.head) and not peeked.taken
        with peeked.open_at(0) as stream:
            assert stream.read() == TEXT
        assert peeked.taken and data.opened == 1
        assert whole(SourceObject("x", peeked.open_at), 5) == TEXT[5:]
    assert data.opened == 2
