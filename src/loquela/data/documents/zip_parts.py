"""The parts of a DOCX or EPUB, within limits that no file's own statements can talk away."""

from __future__ import annotations

import zipfile
import zlib
from types import TracebackType
from typing import Self

from loquela.core.errors import DataError, ErrorCode
from loquela.data.documents.contract import LoadRequest, document_error

MEGABYTE = 1 << 20
ENCRYPTED_FLAG = 0x1
PARTS_MAX = 100_000


class ZipParts:
    """An opened container. Counts what is really unpacked, whatever its headers say.

    Raises DataError: CORRUPT_DATA for damaged containers, AUTH_FAILED for encrypted parts, INSUFFICIENT_RESOURCES for
    what would grow beyond `unpacked_mb_max`.
    """

    def __init__(self, request: LoadRequest) -> None:
        self._request = request
        self._left = request.options.unpacked_mb_max * MEGABYTE
        try:
            self._archive = zipfile.ZipFile(request.path)
        except (zipfile.BadZipFile, ValueError, NotImplementedError, OSError) as error:
            raise self._damaged(str(error)) from error
        self._parts = {info.filename: info for info in self._archive.infolist()}
        if len(self._parts) > PARTS_MAX:
            raise self._damaged(f"it has {len(self._parts):,} parts")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._archive.close()

    def __contains__(self, name: str) -> bool:
        return name in self._parts

    def read(self, name: str) -> bytes:
        """The bytes of the part called `name`."""
        info = self._parts.get(name)
        if info is None:
            raise self._damaged(f"its part {name} is missing")
        if info.flag_bits & ENCRYPTED_FLAG:
            raise document_error(
                self._request.name,
                ErrorCode.AUTH_FAILED,
                f"is encrypted: its part {name} opens with a password only",
                "save it without a password",
            )
        try:
            with self._archive.open(info) as stream:
                data = stream.read(self._left + 1)
        except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, OSError) as error:
            raise self._damaged(f"its part {name}: {error}") from error
        self._left -= len(data)
        if self._left < 0:
            raise self._bomb(info)
        return data

    def read_if_there(self, name: str) -> bytes | None:
        """The bytes of a part, or None where there is no such part."""
        return self.read(name) if name in self._parts else None

    def _bomb(self, info: zipfile.ZipInfo) -> DataError:
        limit = self._request.options.unpacked_mb_max
        return document_error(
            self._request.name,
            ErrorCode.INSUFFICIENT_RESOURCES,
            f"unpacks to more than {limit:,} MB (its part {info.filename} says {info.file_size:,} bytes from "
            f"{info.compress_size:,}): it may be a zip bomb",
            "remove it from data.sources, or raise data.documents.unpacked_mb_max if you trust it",
        )

    def _damaged(self, why: str) -> DataError:
        return document_error(
            self._request.name,
            ErrorCode.CORRUPT_DATA,
            f"is a damaged container: {why}",
            "fetch it again, or open it in the program that wrote it and save it anew",
        )
