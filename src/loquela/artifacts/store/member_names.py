"""Which names members of a tarball may have: packed and unpacked by the same rule, so that what goes in comes out.

A name is relative, has no `..`, no control character, no backslash and no drive letter, and no two names differ only in
case or in how their letters are composed: such a tree could not be unpacked everywhere.
"""

from __future__ import annotations

import re
import unicodedata

from loquela.core.errors import DataError, ErrorCode

LONGEST_NAME_BYTES = 1024
LONGEST_PART_BYTES = 255
DEEPEST = 32
FORBIDDEN = re.compile(r"[\x00-\x1f\x7f\\]|^[A-Za-z]:")


class MemberNames:
    """The names of one tarball, checked one after another; a folder comes before what lies in it."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._folders: set[str] = {""}
        self._seen: set[str] = set()

    def add(self, name: str, *, folder: bool) -> None:
        """DataError(CORRUPTION) for a name that no member may have here."""
        why = _unfit(name)
        if why is not None:
            raise refused(name, why)
        if len(self._seen) >= self._most:
            raise refused(name, f"there are more than {self._most} members")
        alike = unicodedata.normalize("NFC", name).casefold()
        if alike in self._seen:
            raise refused(name, "another member has that name, or one that differs only in case")
        if name.rpartition("/")[0] not in self._folders:
            raise refused(name, "the folder that it lies in does not come before it")
        self._seen.add(alike)
        if folder:
            self._folders.add(name)


def refused(name: str, why: str) -> DataError:
    """The error for a member that is not taken."""
    return DataError(
        ErrorCode.CORRUPTION,
        f"the tarball's member {name[:200]!a} is refused: {why}",
        "use a tarball that Loquela made; nothing of this one was kept",
    )


def _unfit(name: str) -> str | None:
    try:
        encoded = name.encode("utf-8")
    except UnicodeEncodeError:
        return "its name is no UTF-8"
    parts = name.split("/")
    if not name or name.startswith("/") or any(part in ("", ".", "..") for part in parts):
        return "its name leads elsewhere"
    if FORBIDDEN.search(name):
        return "its name has characters that names of files do not have everywhere"
    too_long = len(encoded) > LONGEST_NAME_BYTES or any(len(part.encode()) > LONGEST_PART_BYTES for part in parts)
    return "its name is too long" if too_long or len(parts) > DEEPEST else None
