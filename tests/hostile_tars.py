"""Tarballs that mean harm, each with the words of its refusal; none may leave a byte anywhere."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable, Iterator

from loquela.artifacts.store.tar_blocks import END, headers, padding

Fill = Callable[[tarfile.TarFile], None]


def member(name: str, content: bytes = b"x", **fields: object) -> tuple[tarfile.TarInfo, io.BytesIO]:
    """One member for `TarFile.addfile`."""
    made = tarfile.TarInfo(name)
    made.size = len(content)
    for field, value in fields.items():
        setattr(made, field, value)
    return made, io.BytesIO(content)


def tarball(*members: tuple[tarfile.TarInfo, io.BytesIO], kind: int = tarfile.PAX_FORMAT) -> bytes:
    """What Python's own writer makes of them."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=kind) as tar:
        for info, content in members:
            tar.addfile(info, content if info.isreg() or info.size else None)
    return out.getvalue()


def link(name: str, target: str, kind: bytes = tarfile.SYMTYPE) -> tuple[tarfile.TarInfo, io.BytesIO]:
    """A link."""
    return member(name, b"", type=kind, linkname=target)


def folder(name: str) -> tuple[tarfile.TarInfo, io.BytesIO]:
    """A folder."""
    return member(name, b"", type=tarfile.DIRTYPE)


def raw(*pairs: tuple[str, bytes]) -> bytes:
    """Plain files by our own writer, whatever their names."""
    return b"".join(headers(name, len(data), folder=False) + data + padding(len(data)) for name, data in pairs) + END


def claiming(size: int) -> bytes:
    """A file that says it is much larger than what follows."""
    return headers("large", size, folder=False) + b"x" * 100


def hostile() -> Iterator[tuple[str, bytes, str]]:
    """(what it tries, the tarball, words of the refusal)."""
    yield "climbs out", raw(("../outside", b"x")), "leads elsewhere"
    yield "climbs out from inside", tarball(folder("a"), member("a/../../outside")), "leads elsewhere"
    yield "absolute name", raw(("/etc/outside", b"x")), "leads elsewhere"
    yield "backslashes", raw(("..\\outside", b"x")), "characters that names of files do not have"
    yield "drive letter", raw(("C:outside", b"x")), "characters that names of files do not have"
    yield "NUL in a pax name", _pax("path", "a\0b"), "a name goes on behind its end"
    yield "bytes behind a name", _with(raw(("a", b"x")), 0, b"a\0../b"), "a name goes on behind its end"
    yield "newline", raw(("a\nb", b"x")), "characters that names of files do not have"
    yield "dot", raw((".", b"x")), "leads elsewhere"
    yield "empty name", tarball(member("")), "leads elsewhere|slash at its end"
    yield "double slash", raw(("a//b", b"x")), "leads elsewhere"
    yield "long part", raw(("n" * 300, b"x")), "its name is too long"
    yield "deep", tarball(*(folder("/".join("d" * n)) for n in range(1, 40))), "its name is too long"
    yield "link out", tarball(link("a", "/etc")), "only files and folders are taken"
    yield "hard link", tarball(member("a"), link("b", "a", tarfile.LNKTYPE)), "only files and folders are taken"
    yield "link, then through it", tarball(link("a", ".."), member("a/outside")), "only files and folders are taken"
    yield "file with a link's name", _with(raw(("a", b"x")), 157, b"/etc/passwd"), "names a link"
    for kind, what in ((tarfile.FIFOTYPE, "fifo"), (tarfile.CHRTYPE, "device"), (tarfile.BLKTYPE, "disk")):
        yield what, tarball(member("a", b"", type=kind)), "only files and folders are taken"
    yield "sparse file of GNU", tarball(member("a", b"", type=tarfile.GNUTYPE_SPARSE)), "only files and folders"
    yield "sparse file of pax", _pax("GNU.sparse.size", str(10**15)), "not one that is known here"
    yield "global header", _global(), "only files and folders are taken"
    yield "GNU long name", tarball(member("n" * 150), kind=tarfile.GNU_FORMAT), "POSIX format|files and folders"
    yield "setuid", tarball(member("a", mode=0o4755)), "would run as somebody else"
    yield "sticky folder", tarball(member("d", b"", type=tarfile.DIRTYPE, mode=0o1777)), "would run as somebody else"
    yield "twice", tarball(member("a"), member("a", b"y")), "another member has that name"
    yield "differs in case", tarball(member("Model"), member("model")), "differs only in case"
    yield "composed otherwise", tarball(member("é"), member("e\u0301")), "differs only in case"
    yield "file and folder", tarball(member("a"), member("a/b")), "the folder that it lies in does not come before it"
    yield "folder that is not there", tarball(member("a/b")), "does not come before it"
    yield "folder with bytes", _with(tarball(folder("d")), 124, b"00000000010\0"), "a folder has bytes of its own"
    yield "says it is huge", claiming(2**60), "ends in the middle"
    yield "says it is larger", claiming(101), "ends in the middle"
    yield "negative size", _with(raw(("a", b"x")), 124, b"-0000000001\0"), "a number that is none"
    yield "base-256 size", _with(raw(("a", b"x")), 124, b"\x80" + bytes(10) + b"\1"), "a number that is none"
    yield "negative size by pax", _pax("size", "-5"), "a size that is none"
    yield "half", raw(("a", b"x" * 5000))[:3000], "ends in the middle"
    yield "no end", raw(("a", b"x"))[: -len(END)], "ends in the middle"
    yield "half an end", raw(("a", b"x"))[:-512], "ends in the middle"
    yield "second tarball behind", raw(("a", b"x")) + raw(("b", b"y")), "stands behind its end"
    yield "wrong checksum", b"z" + raw(("a", b"x"))[1:], "checksum"
    yield "gzip", b"\x1f\x8b" + bytes(2000), "checksum|ends in the middle"
    yield "zip", b"PK\x03\x04" + bytes(2000), "checksum"
    yield "nothing", b"", "ends in the middle"
    yield "pax header of a megabyte", _pax("path", "n" * 2**20), "too many or too large"
    yield "pax upon pax", _twice_pax(), "too many or too large"
    yield "pax path that climbs", _pax("path", "../outside"), "leads elsewhere"
    yield "name that is no UTF-8", _with(raw(("a", b"x")), 0, b"\xff\xfe"), "no UTF-8"


def _pax(key: str, value: str) -> bytes:
    """A file with one pax record in front of it, whatever it says."""
    body = f" {key}={value}\n".encode()
    length = len(body)
    while len(str(length)) + len(body) != length:
        length = len(str(length)) + len(body)
    record = str(length).encode() + body
    before = _with(headers("pax", len(record), folder=False), 156, b"x")
    return before + record + padding(len(record)) + raw(("a", b"x"))


def _twice_pax() -> bytes:
    one = _pax("path", "b")[:1024]
    return one + one + raw(("a", b"x"))


def _global() -> bytes:
    return _with(headers("pax", 0, folder=False), 156, b"g") + raw(("a", b"x"))


def _with(tar: bytes, at: int, field: bytes) -> bytes:
    """The first header with other bytes in it, and the checksum for them."""
    block = bytearray(tar[:512])
    block[at : at + len(field)] = field
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block) + tar[512:]
