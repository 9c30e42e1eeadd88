"""Data sets of the Hugging Face library: `hf:FOLDER`, or `hf:owner/name` on the hub at a commit."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

from loquela.core.digests import digest_file, digest_json
from loquela.core.errors import ErrorCode, RecipeError
from loquela.data.access.huggingface import Table, hub_table, local_table
from loquela.data.content.columns import EntryColumns, entry_columns
from loquela.data.encoding.decode import decode
from loquela.data.objects.local import visible_files
from loquela.data.source_contract import SourceCheck, SourceFingerprint, SourceRequest, SourceText
from loquela.data.tally import Tally
from loquela.recipe.source_options.huggingface import HuggingFaceOptions

CACHE_NAME = "huggingface"
HUB = "huggingface.co"


class HuggingFaceSource:
    """One text a row, in the order of the data set."""

    def check(self, request: SourceRequest) -> SourceCheck:
        """A local data set can be opened and has the columns; one on the hub names its commit."""
        folder = _folder(request)
        if folder is None:
            message = f"{request.address} is pinned to {_revision(request)}; it is fetched when it is read"
            return SourceCheck(address=request.address, size_bytes=None, texts=None, message=message, formats=["arrow"])
        table = _table(request)
        _columns(request, table)
        size = sum(path.stat().st_size for path in visible_files(folder))
        return SourceCheck(
            address=request.address,
            size_bytes=size,
            texts=table.num_rows,
            message=f"{folder} has {table.num_rows:,} rows, {size:,} bytes",
            formats=["arrow"],
        )

    def fingerprint(self, request: SourceRequest) -> SourceFingerprint:
        """Of a folder: one SHA-256 over names and digests of its files; on the hub: the commit, which never changes."""
        options = _options(request)
        about = {"split": options.split, "config": options.config}
        folder = _folder(request)
        if folder is None:
            digest = digest_json({"name": request.rest, "revision": _revision(request), **about})
            return SourceFingerprint(texts=0, bytes=0, sha256=digest, language=request.entry.language)
        size = sum(path.stat().st_size for path in visible_files(folder))
        return SourceFingerprint(
            texts=_table(request).num_rows,
            bytes=size,
            sha256=digest_json({"files": _files_digest(folder), **about}),
            language=request.entry.language,
        )

    def read(self, request: SourceRequest, tally: Tally) -> Iterator[SourceText]:
        """The rows; those without text are counted under "read" by reason."""
        table = _table(request)
        columns = _columns(request, table)
        for number, row in enumerate(table.select_columns(columns.all), start=1):
            value = row[columns.text]
            if not isinstance(value, str):
                lost = b"" if value is None else str(value).encode("utf-8")
                tally.enter("read", len(lost), 1)
                tally.change("read", "text_is_null" if value is None else "text_is_not_text", -len(lost), -1)
                continue
            raw = value.encode("utf-8")
            tally.enter("read", len(raw), 1)
            key = None if columns.split_by is None else row[columns.split_by]
            yield SourceText(
                name=request.entry.key,
                pieces=_pieces(raw, f"row {number} of {request.entry.key}", tally),
                language=request.entry.language,
                split_key=None if key is None else str(key),
                object_name=request.entry.key,
                record=number,
                raw_sha256=hashlib.sha256(raw).hexdigest(),
                labels={name: str(row[name]) for name in columns.labels if row[name] is not None},
            )


def _pieces(raw: bytes, name: str, tally: Tally) -> Iterator[str]:
    tally.leave("read", len(raw), 1)
    tally.enter("decode", 0, 1)
    yield from decode([raw], name, tally)


def _options(request: SourceRequest) -> HuggingFaceOptions:
    return request.entry.huggingface or HuggingFaceOptions.model_validate({})


def _folder(request: SourceRequest) -> Path | None:
    folder = Path(request.rest).expanduser()
    return folder if folder.is_dir() else None


def _table(request: SourceRequest) -> Table:
    options, folder = _options(request), _folder(request)
    cache = request.downloads / CACHE_NAME
    if folder is None:
        revision = _revision(request)
        return hub_table(request.rest, options.config, options.split, revision, cache, _token(request))
    # The library knows its cached copy of files by their times; a folder for every content cannot be out of date.
    return local_table(folder, options.split, cache / _files_digest(folder)[:24])


def _token(request: SourceRequest) -> str | None:
    credential = request.credential(HUB)
    if credential is not None and credential.kind != "bearer":
        raise RecipeError(
            ErrorCode.AUTH_FAILED,
            f"the hub takes a bearer credential (its token), not a {credential.kind} one",
            "keep one: loquela credentials set NAME --host huggingface.co",
        )
    return None if credential is None else credential.secret("token")


def _columns(request: SourceRequest, table: Table) -> EntryColumns:
    return entry_columns(request.entry, table.column_names, f"the data set {request.entry.key}")


def _files_digest(folder: Path) -> str:
    lines = [f"{path.relative_to(folder).as_posix()}\t{digest_file(path)}\n" for path in visible_files(folder)]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _revision(request: SourceRequest) -> str:
    revision = _options(request).revision
    if revision is None:
        raise RecipeError(
            ErrorCode.INVALID_SOURCE,
            f"{request.address} is no folder here, and as a data set on the hub, which may change, it names no commit",
            "write huggingface: {revision: <the 40 digits of a commit>}, or correct the folder",
            details={"source": request.address},
        )
    return revision
