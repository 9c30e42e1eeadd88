"""`load_document`: any document → its text, read in a process of its own that a bad document may take down alone."""

from __future__ import annotations

import atexit
import os
import threading
from pathlib import Path
from types import TracebackType
from typing import Self

from loquela.core.errors import DataError, ErrorCode, LoquelaError, ResourceError
from loquela.data.documents.contract import LoadedDocument, LoadFailure, LoadRequest, PageSpan, document_error
from loquela.data.documents.media_types import DOCUMENT_SUFFIXES
from loquela.data.documents.process_client import ProcessDied, ProcessTooSlow, ReadingProcess
from loquela.data.objects.local_text import require_readable
from loquela.recipe.document_section import DocumentOptions
from loquela.recipe.encoding_section import EncodingSection
from loquela.security.credentials import lookup as credentials

__all__ = ["DOCUMENT_SUFFIXES", "DocumentReader", "LoadedDocument", "PageSpan", "load_document"]


class DocumentReader:
    """Reads one document after another; a context manager that ends its process.

    The process is replaced after `recycle_documents` documents, when it holds more than `recycle_memory_mb`, and
    whenever a document killed it, which costs that document alone.
    """

    def __init__(self, options: DocumentOptions) -> None:
        self.options = options
        self.processes_started = 0
        self._process: ReadingProcess | None = None
        self._read = 0
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the process; the next document starts a new one."""
        process, self._process = self._process, None
        if process is not None:
            process.close()

    def load(
        self,
        path: Path,
        media_type: str | None = None,
        *,
        name: str | None = None,
        password: str | None = None,
        language: str | None = None,
        encoding: EncodingSection | None = None,
        options: DocumentOptions | None = None,
    ) -> LoadedDocument:
        """See `load_document`; `options` stand for those of the reader, for this document alone."""
        require_readable(path)
        options = options or self.options
        request = LoadRequest(
            path=path.absolute(),
            name=name or str(path),
            media_type=media_type,
            options=options,
            password=password if password is not None else _stored_password(options),
            language=language,
            encoding=encoding or EncodingSection(),
        )
        with self._lock:
            return self._ask(request)

    def _ask(self, request: LoadRequest) -> LoadedDocument:
        options = request.options
        if self._process is not None and (self._process.memory_mb != options.memory_mb or self._process.has_ended()):
            self.close()
        if self._process is None:
            self._process = ReadingProcess(options.memory_mb)
            self.processes_started += 1
            self._read = 0
        try:
            reply = self._process.ask(request, options.timeout_seconds)
        except BaseException as error:
            self.close()
            if isinstance(error, ProcessTooSlow):
                raise _too_slow(request) from error
            if isinstance(error, ProcessDied):
                raise _crashed(request, error) from error
            raise
        self._read += 1
        worn = self._read >= options.recycle_documents or reply.resident_mb > options.recycle_memory_mb
        if worn or (reply.failure is not None and reply.failure.code == ErrorCode.OOM):
            self.close()
        if reply.document is None:
            raise _raised(reply.failure, request)
        return reply.document


def load_document(
    path: Path,
    media_type: str | None,
    options: DocumentOptions,
    *,
    name: str | None = None,
    password: str | None = None,
    language: str | None = None,
    encoding: EncodingSection | None = None,
) -> LoadedDocument:
    """The text of the document in `path`, whose media type somebody may have declared.

    `name` is what messages call it; `language` (ISO 639) sharpens the checks of encodings and fonts; `password` goes
    before `options.password_credential`; `encoding` is the policy for text that is not UTF-8. All calls of this process
    share one reading process. Raises DataError: DATA_NOT_FOUND, READ_FAILED, UNSUPPORTED_FORMAT (also for a scanned
    PDF), CORRUPT_DATA, AUTH_FAILED (password), ENCODING_ERROR, INSUFFICIENT_DATA (no text), TIMEOUT, OOM, WORKER_CRASH,
    INSUFFICIENT_RESOURCES (over a limit of size); ResourceError(MISSING_EXTRA).
    """
    return _shared_reader().load(
        path, media_type, name=name, password=password, language=language, encoding=encoding, options=options
    )


_readers: dict[int, DocumentReader] = {}


def _shared_reader() -> DocumentReader:
    """This process's reader; a forked child must not speak into its parent's pipe."""
    return _readers.setdefault(os.getpid(), DocumentReader(DocumentOptions()))


@atexit.register
def close_readers() -> None:
    """End the shared reading process, if any."""
    reader = _readers.pop(os.getpid(), None)
    if reader is not None:
        reader.close()


def _stored_password(options: DocumentOptions) -> str | None:
    """The password kept under `password_credential`: that of a user, or the token."""
    if options.password_credential is None:
        return None
    credential = credentials.get(options.password_credential)
    return credential.secret("password") or credential.secret("token")


def _too_slow(request: LoadRequest) -> DataError:
    seconds = request.options.timeout_seconds
    return document_error(
        request.name,
        ErrorCode.TIMEOUT,
        f"was still being read after {seconds:g} seconds, so its process was ended",
        "raise data.documents.timeout_seconds, or remove it from data.sources",
        timeout_seconds=seconds,
    )


def _raised(failure: LoadFailure | None, request: LoadRequest) -> LoquelaError:
    if failure is None:
        return _crashed(request, ProcessDied("it answered nothing"))
    kind = ResourceError if failure.kind == "resource" else DataError
    return kind(failure.code, failure.message, failure.remedy, details=failure.details)


def _crashed(request: LoadRequest, error: ProcessDied) -> DataError:
    return document_error(
        request.name,
        ErrorCode.WORKER_CRASH,
        f"made the process that read it crash: {error}",
        "remove it from data.sources, or print it to a new PDF; the other documents are not touched by this",
    )
