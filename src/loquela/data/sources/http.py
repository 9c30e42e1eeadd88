"""A file on the web: `https://host/corpus.txt`, `https://host/books.jsonl.gz`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from email.message import Message
from pathlib import PurePosixPath
from urllib.parse import urlsplit

from loquela.data.access.downloads import Downloads, policy_of
from loquela.data.content.texts import texts_of
from loquela.data.objects.local import local_object
from loquela.data.objects.local_text import file_fingerprint
from loquela.data.source_contract import SourceCheck, SourceFingerprint, SourceRequest, SourceText
from loquela.data.tally import Tally
from loquela.security.http import checked_url
from loquela.security.http_auth import bound_headers


class HttpSource:
    """A file fetched once into the download cache, in the encoding that its Content-Type declares (else UTF-8)."""

    def check(self, request: SourceRequest) -> SourceCheck:
        """The address answers."""
        size = _downloads(request).size(request.address)
        known = "size not announced" if size is None else f"{size:,} bytes"
        return SourceCheck(
            address=request.address, size_bytes=size, texts=1, message=f"{request.address} answers, {known}"
        )

    def fingerprint(self, request: SourceRequest) -> SourceFingerprint:
        """Size and SHA-256 of the downloaded file."""
        return file_fingerprint(_downloads(request).fetch(request.address).path)

    def read(self, request: SourceRequest, tally: Tally) -> Iterator[SourceText]:
        """The texts in it."""
        download = _downloads(request).fetch(request.address)
        header = Message()
        header["content-type"] = download.record.answer.content_type or "text/plain"
        kept = local_object(download.path, request.object_named(PurePosixPath(urlsplit(request.address).path).name))
        yield from texts_of(replace(kept, encoding=header.get_content_charset()), request, tally, alone=True)


def _downloads(request: SourceRequest) -> Downloads:
    policy = policy_of(request.section)
    url = checked_url(request.address)
    credential = request.credential(url.host)
    if credential is None:
        return Downloads(request.downloads, policy)
    name = request.entry.credential or ""
    bound = bound_headers(credential, name, url, allow_private=policy.allow_private)
    return Downloads(request.downloads, policy, bound)
