"""A document (PDF, DOCX, HTML, Markdown, EPUB) → its one text."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from loquela.core.atomic import write_error
from loquela.core.digests import digest_file
from loquela.core.errors import DataError
from loquela.data.documents.load import load_document
from loquela.data.encoding.report import EncodingReport
from loquela.data.objects.streams import pieces_of
from loquela.data.objects.unpacking import Unpacked, inner_name
from loquela.data.source_contract import SourceRequest, SourceText
from loquela.data.source_object import SourceObject
from loquela.data.tally import Tally, utf8_size

HEAD_BYTES = 4096


def document_text(
    found: Unpacked, media_type: str, request: SourceRequest, tally: Tally, *, alone: bool
) -> Iterator[SourceText]:
    """The text of a document that is named `alone` or lies among others.

    Among others, one that cannot be read is set aside in the quarantine and counted by its error; alone it raises
    what `load_document` raises.
    """
    options = request.section.documents
    name = found.source.name
    password = _password(options.password_credential, request)
    with _as_file(found.source) as path:
        size, digest = path.stat().st_size, digest_file(path)
        try:
            loaded = load_document(
                path,
                media_type,
                options,
                name=name,
                password=password,
                language=request.entry.language,
                encoding=request.section.encoding,
            )
        except DataError as error:
            if alone:
                raise
            _set_aside(name, path, size, digest, error, request, tally)
            return
    if request.report is not None:
        report = EncodingReport(object=name, encoding=loaded.media_type, evidence="the text of a document")
        for warning in loaded.warnings:
            report.note(warning)
        request.report(report)
    for arrow in ("read", "decode"):
        tally.enter(arrow, size, 1)
    tally.leave("read", size, 1)
    tally.change("decode", "document_to_text", utf8_size(loaded.text) - size)
    yield SourceText(
        name=name,
        pieces=iter([loaded.text]),
        language=request.entry.language,
        object_name=name,
        raw_bytes=(0, size),
        raw_sha256=digest,
        pages_of=loaded.pages_of if loaded.pages else None,
    )


def _set_aside(
    name: str, path: Path, size: int, digest: str, error: DataError, request: SourceRequest, tally: Tally
) -> None:
    reason = f"document_{error.code.lower()}"
    tally.enter("read", size, 1)
    tally.change("read", reason, -size, -1)
    if request.quarantine is not None:
        with path.open("rb") as stream:
            head = stream.read(HEAD_BYTES)
        request.quarantine.put(name, 1, 0, size, f"{error.code}: {error.message}", head, sha256=digest)


def _password(credential: str | None, request: SourceRequest) -> str | None:
    if credential is None:
        return None
    found = request.find_credential(credential)
    return found.secret("password") or found.secret("token")


@contextmanager
def _as_file(source: SourceObject) -> Iterator[Path]:
    """The object as a file of this machine: the file itself, or a copy for as long as it is needed."""
    if source.path is not None:
        yield source.path
        return
    suffix = PurePosixPath(inner_name(source.name)).suffix
    handle, place = tempfile.mkstemp(prefix="loquela-", suffix=suffix if suffix.isascii() else "")
    path = Path(place)
    try:
        try:
            with os.fdopen(handle, "wb") as copy, source.open_at(0) as stream:
                for piece in pieces_of(stream):
                    copy.write(piece)
        except OSError as error:
            raise write_error(error, path) from error
        yield path
    finally:
        path.unlink(missing_ok=True)
