"""A tree as a tarball: the same bytes for the same files, on every machine and at every time, never whole in memory."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from loquela.artifacts.store.member_names import MemberNames
from loquela.artifacts.store.tar_blocks import END, headers, padding
from loquela.core.errors import DataError, ErrorCode

PIECE_BYTES = 1 << 20
MOST_MEMBERS = 200_000


@dataclass(frozen=True)
class Member:
    """A file or folder below the packed folder."""

    name: str
    path: Path
    size: int
    folder: bool


@dataclass(frozen=True)
class Tree:
    """What is packed, in its order, and the names of links and devices that are not: they hold nothing of their own."""

    root: Path
    members: list[Member] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)

    @property
    def files(self) -> int:
        """How many files it has."""
        return sum(not member.folder for member in self.members)

    @property
    def size_bytes(self) -> int:
        """The size of the tarball, known before a byte of it is read."""
        return sum(_packed_size(member) for member in self.members) + len(END)


@dataclass(frozen=True)
class Tarball:
    """A tarball that was measured."""

    sha256: str
    size_bytes: int
    files: int


def tree_of(root: Path, leave_out: Callable[[str], bool] = lambda name: False) -> Tree:
    """Everything below `root` but the names that `leave_out` says.

    Raises DataError: CORRUPTION for a name that could not be unpacked everywhere, DATA_NOT_FOUND where there is no such
    folder, READ_FAILED for one that cannot be looked into.
    """
    if not root.is_dir() or root.is_symlink():
        raise DataError(
            ErrorCode.DATA_NOT_FOUND, f"there is no folder {root} to be packed", "see whether it was moved or removed"
        )
    tree = Tree(root)
    names = MemberNames(MOST_MEMBERS)
    try:
        walked = sorted(_walk(root, "", leave_out), key=lambda each: each[0].split("/"))
    except OSError as error:
        raise DataError(
            ErrorCode.READ_FAILED,
            f"the folder {error.filename} cannot be looked into: {error.strerror}",
            "check its rights and its disk; it is tried again by itself",
            retryable=True,
        ) from error
    for name, path, found in walked:
        if stat.S_ISREG(found.st_mode) or stat.S_ISDIR(found.st_mode):
            folder = stat.S_ISDIR(found.st_mode)
            names.add(name, folder=folder)
            tree.members.append(Member(name, path, 0 if folder else found.st_size, folder))
        else:
            tree.left_out.append(name)
    return tree


def pieces_of(tree: Tree) -> Iterator[bytes]:
    """The tarball's bytes; DataError(DATA_CHANGED) for a file that is not as it was when the tree was looked at."""
    for member in tree.members:
        yield headers(member.name, member.size, folder=member.folder)
        if not member.folder:
            yield from _content(member)
            yield padding(member.size)
    yield END


def measured(tree: Tree) -> Tarball:
    """Read all of it once, and keep nothing; errors as `pieces_of`."""
    digest = hashlib.sha256()
    for piece in pieces_of(tree):
        digest.update(piece)
    return Tarball(digest.hexdigest(), tree.size_bytes, tree.files)


def proven(pieces: Iterable[bytes], sha256: str) -> Iterator[bytes]:
    """`pieces`, the last of them only when all together have that digest; DataError(DATA_CHANGED) otherwise."""
    digest = hashlib.sha256()
    held = b""
    for piece in pieces:
        digest.update(piece)
        if held:
            yield held
        held = piece
    if digest.hexdigest() != sha256:
        raise DataError(
            ErrorCode.DATA_CHANGED,
            f"what was read has another digest than {sha256[:12]}: it changed meanwhile",
            "nothing: it is packed again as soon as nobody writes there",
            retryable=True,
        )
    yield held


def _walk(folder: Path, prefix: str, leave_out: Callable[[str], bool]) -> Iterator[tuple[str, Path, os.stat_result]]:
    with os.scandir(folder) as entries:
        for entry in entries:
            name = prefix + entry.name
            if leave_out(name):
                continue
            found = entry.stat(follow_symlinks=False)
            yield name, Path(entry.path), found
            if stat.S_ISDIR(found.st_mode):
                yield from _walk(Path(entry.path), name + "/", leave_out)


def _content(member: Member) -> Iterator[bytes]:
    left = member.size
    try:
        descriptor = os.open(member.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb", buffering=0) as stream:
            while left and (piece := stream.read(min(left, PIECE_BYTES))):
                left -= len(piece)
                yield piece
            grown = bool(stream.read(1))
    except FileNotFoundError:
        raise _changed(member) from None
    except OSError as error:
        raise DataError(
            ErrorCode.READ_FAILED, f"{member.path} cannot be read: {error.strerror}", "check its rights and its disk"
        ) from error
    if left or grown:
        raise _changed(member)


def _changed(member: Member) -> DataError:
    return DataError(
        ErrorCode.DATA_CHANGED,
        f"{member.path} changed while it was packed",
        "nothing: it is packed again as soon as nobody writes there",
        retryable=True,
    )


def _packed_size(member: Member) -> int:
    front = len(headers(member.name, member.size, folder=member.folder))
    return front + member.size + len(padding(member.size))
