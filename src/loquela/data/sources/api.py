"""Items of a JSON interface: `api+https://host/v1/books`, or https:// with `api:` options."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from pydantic import JsonValue

from loquela.data.api.asking import Asking
from loquela.data.api.page_json import page_items
from loquela.data.api.pointer import NotThere, value_at
from loquela.data.encoding.decode import decode
from loquela.data.source_contract import SourceCheck, SourceFingerprint, SourceRequest, SourceText
from loquela.data.tally import Tally
from loquela.recipe.source_entry import SourceEntry

DEFAULT_TEXT = "text"


class ApiSource:
    """One text an item, in the order of the pages; every page is kept in the downloads."""

    def check(self, request: SourceRequest) -> SourceCheck:
        """The first page answers, is JSON and has a list where the entry says."""
        asking = Asking(request)
        finished = asking.cache.finished()
        if finished is not None:
            size = sum(page.size_bytes for page in asking.cache.pages(finished))
            count = finished.facts.get("records")
            message = f"{request.address} is kept: {count:,} items on {len(finished.urls):,} pages, {size:,} bytes"
            return SourceCheck(address=request.address, size_bytes=size, texts=count, message=message, formats=["json"])
        with asking.fetcher() as fetcher:
            found = fetcher.get(asking.first, accept="application/json")
        _, items = page_items(found.body, asking.first, 1, asking.options)
        message = f"{request.address} answers; its first page has {len(items):,} items, {len(found.body):,} bytes"
        return SourceCheck(address=request.address, size_bytes=None, texts=None, message=message, formats=["json"])

    def fingerprint(self, request: SourceRequest) -> SourceFingerprint:
        """SHA-256 over the pages' digests, one a line, in order; `bytes` are those of the pages."""
        asking = Asking(request)
        finished = asking.everything()
        pages = asking.cache.pages(finished)
        lines = "".join(f"{page.url}\t{page.sha256}\n" for page in pages)
        return SourceFingerprint(
            texts=finished.facts["records"],
            bytes=sum(page.size_bytes for page in pages),
            sha256=hashlib.sha256(lines.encode()).hexdigest(),
            language=request.entry.language,
        )

    def read(self, request: SourceRequest, tally: Tally) -> Iterator[SourceText]:
        """The texts; items without one, and items beyond `max_records`, are counted under "read" by reason."""
        asking = Asking(request)
        left = asking.options.max_records
        for number, page in enumerate(asking.cache.pages(asking.everything()), start=1):
            body = asking.cache.body(page)
            _, items = page_items(body, page.url, number, asking.options)
            wanted = items if left is None else items[:left]
            left = None if left is None else left - len(wanted)
            tally.enter("read", len(body), len(items))
            tally.change("read", "beyond_max_records", 0, len(wanted) - len(items))
            texts = [(place, _text(item, request.entry, tally), item) for place, item in enumerate(wanted, start=1)]
            tally.change("read", "json_around_the_texts", sum(len(raw or b"") for _, raw, _ in texts) - len(body))
            for place, raw, item in texts:
                if raw is not None:
                    yield _source_text(request.entry, page.url, place, raw, item, tally)


def _source_text(entry: SourceEntry, url: str, place: int, raw: bytes, item: JsonValue, tally: Tally) -> SourceText:
    return SourceText(
        name=entry.key,
        pieces=_pieces(raw, f"item {place} of {url}", tally),
        language=entry.language,
        split_key=_plain(item, entry.split_by) if entry.split_by else None,
        object_name=url,
        record=place,
        raw_sha256=hashlib.sha256(raw).hexdigest(),
        labels={name: found for name in entry.labels if (found := _plain(item, name)) is not None},
    )


def _text(item: JsonValue, entry: SourceEntry, tally: Tally) -> bytes | None:
    """The UTF-8 bytes of an item's text; None, counted, where there is none."""
    try:
        found = value_at(item, entry.text or DEFAULT_TEXT)
        if isinstance(found, str):
            return found.encode("utf-8")
        reason = "text_is_null" if found is None else "text_is_not_text"
    except NotThere:
        reason = "text_is_missing"
    except UnicodeEncodeError:
        reason = "text_is_not_unicode"  # half of a surrogate pair, which JSON can write and no encoding can
    tally.change("read", reason, 0, -1)
    return None


def _plain(item: JsonValue, pointer: str) -> str | None:
    """A label or split key as text; None where there is none."""
    try:
        found = value_at(item, pointer)
    except NotThere:
        return None
    return None if found is None or isinstance(found, dict | list) else str(found)


def _pieces(raw: bytes, name: str, tally: Tally) -> Iterator[str]:
    tally.leave("read", len(raw), 1)
    tally.enter("decode", 0, 1)
    yield from decode([raw], name, tally)
