"""Web archives: the main text of their pages, with place and address; everything else counted by reason."""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loquela.core.errors import DataError, ErrorCode
from loquela.data.access.source_registry import source_for
from loquela.data.quarantine import Quarantine
from loquela.data.source_contract import SourceRequest, SourceText
from loquela.data.source_object import SourceObject
from loquela.data.tally import Tally, utf8_size
from loquela.data.warc.http_payload import http_payload
from loquela.data.warc.pages import warc_texts
from loquela.data.warc.records import warc_records
from loquela.recipe.schema import DataSection
from loquela.recipe.source_entry import SourceEntry

SAMPLE = Path(__file__).parents[2] / "../shared/data/webtext/dolma_sample-0001.warc.gz"
STORY = (
    "The old bridge was built of stone that came down the river on rafts, and nobody in the town could say when. "
    "Every spring the water rose to its second arch, and every summer children jumped from the first. "
)


def page(text: str, charset: str = "utf-8") -> bytes:
    body = f"<html><head><title>Bridge</title></head><body><nav>Home About</nav><article><p>{text}</p>"
    return (body + f"<p>{text[::-1]}</p></article></body></html>").encode(charset)


def http(body: bytes, *headers: str, status: str = "200 OK") -> bytes:
    head = "\r\n".join([f"HTTP/1.1 {status}", *headers])
    return head.encode() + b"\r\n\r\n" + body


def record(kind: str, block: bytes, *headers: str, url: str = "https://example.com/bridge") -> bytes:
    lines = [
        "WARC/1.0",
        f"WARC-Type: {kind}",
        f"WARC-Target-URI: {url}",
        "WARC-Date: 2026-01-02T03:04:05Z",
        *headers,
        f"Content-Length: {len(block)}",
    ]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + block + b"\r\n\r\n"


HTML = "Content-Type: text/html; charset=utf-8"


def memory(data: bytes, name: str = "a.warc") -> SourceObject:
    @contextmanager
    def open_at(offset: int) -> Iterator[BinaryIO]:
        yield io.BytesIO(data[offset:])

    return SourceObject(name=name, open_at=open_at, size_bytes=len(data))


def read(
    data: bytes, tmp_path: Path, **entry: object
) -> tuple[list[tuple[SourceText, str]], dict[str, tuple[int, int]]]:
    written = SourceEntry.model_validate({"address": "a.warc", **entry})
    request = SourceRequest(written, DataSection(sources=[written]), tmp_path, quarantine=Quarantine(tmp_path))
    tally = Tally()
    found = []
    for text in warc_texts(memory(data), request, tally):
        content = "".join(text.pieces)
        tally.leave("decode", utf8_size(content), 1)
        found.append((text, content))
    for arrow in tally.arrows()[:2]:
        assert arrow.bytes_in + sum(change.bytes for change in arrow.changes) == arrow.bytes_out, arrow
        assert arrow.items_in + sum(change.items for change in arrow.changes) == arrow.items_out, arrow
    [counted] = [arrow for arrow in tally.arrows() if arrow.arrow == "read"]
    assert counted.bytes_in == len(data)
    return found, {change.reason: (change.bytes, change.items) for change in counted.changes}


def test_pages_with_place_address_and_labels(tmp_path: Path) -> None:
    first = record("warcinfo", b"software: test\r\n")
    second = record("response", http(page(STORY), HTML), "Content-Type: application/http; msgtype=response")
    data = first + record("request", b"GET / HTTP/1.1\r\n\r\n") + second
    [(text, content)], reasons = read(data, tmp_path, labels=["title", "host", "date"])
    assert STORY.strip() in content and "Home About" not in content
    assert text.record == 3 and text.split_key == "https://example.com/bridge"
    assert text.raw_bytes is not None and data[slice(*text.raw_bytes)] == second
    assert text.raw_sha256 == hashlib.sha256(second).hexdigest()
    assert text.labels == {"title": "Bridge", "host": "example.com", "date": "2026-01-02T03:04:05Z"}
    assert reasons["warc_warcinfo"] == (-len(first), 0)
    assert set(reasons) == {"warc_warcinfo", "warc_request", "warc_headers"}


@pytest.mark.parametrize(
    ("headers", "encode"),
    [
        (
            ["Transfer-Encoding: chunked"],
            lambda body: b"5;x=y\r\n" + body[:5] + b"\r\n%x\r\n" % (len(body) - 5) + body[5:] + b"\r\n0\r\n\r\n",
        ),
        (["Content-Encoding: gzip"], gzip.compress),
        (["Content-Encoding: gzip"], lambda body: body),
        (["Transfer-Encoding: chunked"], lambda body: body),
        (
            ["Transfer-Encoding: chunked", "Content-Encoding: gzip"],
            lambda body: (
                b"%x\r\n" % len(gzip.compress(body, mtime=0)) + gzip.compress(body, mtime=0) + b"\r\n0\r\n\r\n"
            ),
        ),
    ],
)
def test_bodies_as_servers_sent_them(tmp_path: Path, headers: list[str], encode) -> None:
    found, _ = read(record("response", http(encode(page(STORY)), HTML, *headers)), tmp_path)
    assert STORY.strip() in found[0][1]


def test_charset_of_header_and_page(tmp_path: Path) -> None:
    spanish = "La señora Peñalver volvió al caserón de piedra, donde el niño leía junto al fuego. " * 3
    declared = http(page(spanish, "iso-8859-1"), "Content-Type: text/html; charset=ISO-8859-1")
    meta = page(spanish, "cp1252").replace(b"<head>", b'<head><meta charset="windows-1252">')
    data = record("response", declared) + record("response", http(meta, "Content-Type: text/html"), url="https://b.es/")
    found, _ = read(data, tmp_path)
    assert [spanish.strip() in content for _, content in found] == [True, True]


def test_everything_else_has_a_reason(tmp_path: Path) -> None:
    block = http(page(STORY), HTML)
    wrong = base64.b32encode(hashlib.sha1(b"other", usedforsecurity=False).digest()).decode()
    right = base64.b32encode(hashlib.sha1(block, usedforsecurity=False).digest()).decode()
    data = b"".join(
        [
            record("response", http(b"\xff\xd8", "Content-Type: image/jpeg")),
            record("response", http(page(STORY), HTML, status="404 Not Found")),
            record("response", block, f"WARC-Block-Digest: sha1:{wrong}"),
            record("response", block, f"WARC-Block-Digest: sha1:{right}"),
            record("response", b"no http at all"),
            record("response", http(gzip.compress(bytes(5_000_000)), HTML, "Content-Encoding: gzip")),
            record("response", b"dns", "Content-Type: text/dns"),
            record("revisit", http(b"")),
            record("odd", b""),
        ]
    )
    found, reasons = read(data, tmp_path)
    assert len(found) == 1
    assert {reason for reason in reasons if reason not in ("warc_headers", "warc_pages")} == {
        "warc_not_html",
        "warc_http_not_ok",
        "warc_block_digest_wrong",
        "warc_page_corrupt_data",
        "warc_not_http",
        "warc_revisit",
        "warc_unknown_kind",
    }
    lines = (tmp_path / "quarantine.jsonl").read_text().splitlines()
    assert "the record of https://example.com/bridge holds no HTTP answer: it begins with b'no http at all'" in lines[0]
    assert "a bomb" in lines[1]


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda data: data[:-200], r"the record at byte \d+ is cut off: its block should have"),
        (lambda data: data[:40], "the record at byte 0 is cut off in its headers"),
        (lambda data: data.replace(b"Content-Length: ", b"Content-Length: x"), "states no usable Content-Length"),
        (lambda data: data.replace(b"Content-Length: 8", b"Content-Length: 7"), "is longer than its Content-Length"),
        (lambda data: data + b"junk behind\r\n", r"does not begin with WARC/ but with b'junk behind"),
        (
            lambda data: data.replace(b"\r\n\r\n", b"\r\nX: " + b"y" * 300_000 + b"\r\n\r\n", 1),
            "in its headers|bytes of headers",
        ),
    ],
)
def test_damage_names_the_byte(spoil, message: str) -> None:
    data = record("request", b"GET / HTTP/1.1\r\n\r\n" * 5) + record("response", b"x" * 800)
    with pytest.raises(DataError, match=message) as caught:
        list(warc_records(io.BytesIO(spoil(data)), "a.warc"))
    assert caught.value.code == ErrorCode.CORRUPT_DATA
    assert "byte" in caught.value.details


@settings(max_examples=80, deadline=None)
@given(data=st.binary(max_size=300), cut=st.integers(0, 2000), at=st.integers(0, 2000))
def test_no_bytes_are_a_traceback(data: bytes, cut: int, at: int) -> None:
    good = record("response", http(page(STORY[:40]), HTML, "Transfer-Encoding: chunked"))
    spoilt = (good[: at % len(good)] + data + good[at % len(good) :])[: cut or None]
    try:
        for found in warc_records(io.BytesIO(spoilt), "a.warc"):
            http_payload(found.block or b"", "https://example.com/")
    except DataError as error:
        assert error.code == ErrorCode.CORRUPT_DATA and error.remedy


def test_a_compressed_archive_is_told_by_its_bytes(tmp_path: Path) -> None:
    parts = [record("warcinfo", b"x"), record("response", http(page(STORY), HTML))]
    (tmp_path / "crawl").write_bytes(b"".join(map(gzip.compress, parts)))
    entry = SourceEntry(address=str(tmp_path / "crawl"))
    request = SourceRequest(entry, DataSection(sources=[entry]), tmp_path)
    [text] = source_for(entry.address).read(request, Tally())
    assert STORY.strip() in "".join(text.pieces)


@pytest.mark.skipif(not SAMPLE.exists(), reason="the material in ../shared/data is not here")
def test_a_real_archive(tmp_path: Path) -> None:
    found, reasons = read(gzip.decompress(SAMPLE.read_bytes()), tmp_path)
    assert len(found) == 15 and all(content.strip() for _, content in found)
    assert any("Creative Commons is an international nonprofit" in content for _, content in found)
    assert {"warc_request", "warc_metadata", "warc_warcinfo"} <= set(reasons)
