"""A web archive → the main text of each HTML page in it; every other record is counted by reason."""

from __future__ import annotations

from collections.abc import Iterator

import httpx

from loquela.core.errors import DataError
from loquela.data.source_contract import SourceRequest, SourceText
from loquela.data.source_object import SourceObject
from loquela.data.tally import Tally, utf8_size
from loquela.data.warc.http_payload import HttpPayload, http_payload
from loquela.data.warc.records import WarcRecord, warc_records
from loquela.data.web_text import WebText, main_text

KNOWN_KINDS = ("warcinfo", "request", "metadata", "revisit", "resource", "conversion", "continuation")


def warc_texts(source: SourceObject, request: SourceRequest, tally: Tally) -> Iterator[SourceText]:
    """One text a page: `record` is its number in the file; url, host, title and date can be labels.

    Captures of one address fall on one side of the split, unless `split_by` names another of these. A page that cannot
    be read goes to the quarantine. Raises DataError(CORRUPT_DATA) for a damaged file, ResourceError(MISSING_EXTRA)
    without trafilatura.
    """
    pages = end = 0
    with source.open_at(0) as stream:
        for record in warc_records(stream, source.name):
            tally.enter("read", record.start - end)
            tally.change("read", "warc_headers", end - record.start)
            end = record.end
            page = _page(record, request, tally, source.name)
            if page is not None:
                pages += 1
                payload, text = page
                yield _source_text(record, payload, text, source.name, request, tally)
    tally.enter("read", 0, 1)
    tally.change("read", "warc_pages", 0, pages - 1)


def _page(record: WarcRecord, request: SourceRequest, tally: Tally, name: str) -> tuple[HttpPayload, WebText] | None:
    """The page of a record; None, and counted, when there is none in it."""
    size = record.end - record.start
    tally.enter("read", size)
    reason = _unwanted(record)
    if reason is None:
        try:
            payload = http_payload(record.block or b"", record.url or "(no address)")
            reason = _unwanted_payload(payload)
            if reason is None:
                return payload, main_text(payload.body, record.url, payload.charset)
        except DataError as error:
            reason = f"warc_page_{error.code.lower()}"
            if request.quarantine is not None:
                why = f"{error.code}: {error.message}"
                data = record.block or b""
                request.quarantine.put(name, record.number, record.start, record.end, why, data, sha256=record.sha256)
    tally.change("read", reason, -size)
    return None


def _unwanted(record: WarcRecord) -> str | None:
    if record.kind != "response":
        return f"warc_{record.kind}" if record.kind in KNOWN_KINDS else "warc_unknown_kind"
    if record.block is None:
        return "warc_too_large"
    if not record.headers.get("content-type", "application/http").lower().startswith("application/http"):
        return "warc_not_http"
    return None if record.block_is_whole() else "warc_block_digest_wrong"


def _unwanted_payload(payload: HttpPayload) -> str | None:
    if not 200 <= payload.status < 300:
        return "warc_http_not_ok"
    return None if payload.is_html else "warc_not_html"


def _source_text(
    record: WarcRecord, payload: HttpPayload, text: WebText, name: str, request: SourceRequest, tally: Tally
) -> SourceText:
    tally.change("read", "warc_headers", payload.raw_bytes - (record.end - record.start))
    tally.leave("read", payload.raw_bytes, 1)
    tally.enter("decode", payload.raw_bytes, 1)
    tally.change("decode", "http_content_coding", len(payload.body) - payload.raw_bytes)
    tally.change("decode", "html_to_main_text", utf8_size(text.text) - len(payload.body))
    fields = {
        "url": record.url or "",
        "host": _host(record.url),
        "title": text.title or "",
        "date": record.headers.get("warc-date", ""),
    }
    entry = request.entry
    return SourceText(
        name=name,
        pieces=iter([text.text]),
        language=entry.language or text.language,
        split_key=fields.get(entry.split_by or "url"),
        object_name=name,
        record=record.number,
        raw_bytes=(record.start, record.end),
        raw_sha256=record.sha256,
        labels={label: fields[label] for label in entry.labels if label in fields},
    )


def _host(url: str | None) -> str:
    try:
        return httpx.URL(url or "").host
    except httpx.InvalidURL:
        return ""
