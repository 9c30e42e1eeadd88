"""JSON interfaces against a real server: every way of paging, circles, broken pages, limits, resuming."""

from __future__ import annotations

import json
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ledger_lines import arrow, changes
from local_server import Handler, LocalServer, body, status

from loquela.core.errors import DataError, ErrorCode, RecipeError, ResourceError
from loquela.data.access.page_cache import PageCache
from loquela.data.access.source_registry import source_for
from loquela.data.api.pointer import NotThere, value_at
from loquela.data.source_contract import SourceRequest
from loquela.data.tally import Tally
from loquela.recipe.schema import DataSection
from loquela.recipe.source_entry import SourceEntry
from loquela.security.credentials.credential import from_text

ITEMS = [{"id": n, "text": f"Text {n}: año {n}.", "lang": "es" if n % 2 else "en"} for n in range(7)]


def _request(server: LocalServer, folder: Path, path: str = "/books", **more: object) -> SourceRequest:
    api = {"requests_per_second": 1000, **more.pop("api", {})}
    entry = SourceEntry.model_validate({"address": server.url + path, "api": api, **more})
    section = DataSection(sources=[entry], allow_private_addresses=True, timeout_seconds=5.0, corpus_size_mb=1)
    return SourceRequest(
        entry, section, folder / "downloads", find_credential=lambda name: from_text("opensesame", name)
    )


def _texts(request: SourceRequest, tally: Tally | None = None) -> list[str]:
    return ["".join(text.pieces) for text in source_for(request.address).read(request, tally or Tally())]


class Interface:
    """Answers /books in pages of `size`, in the given way."""

    def __init__(self, server: LocalServer, way: str, size: int = 3) -> None:
        self.way, self.size, self.asked = way, size, []
        server.default = self.answer

    def answer(self, handler: Handler) -> None:
        self.asked.append(handler.path)
        query = {name: values[0] for name, values in parse_qs(urlsplit(handler.path).query).items()}
        start = int(query.get({"link": "from", "cursor": "after", "offset": "offset"}.get(self.way, ""), 0))
        if self.way == "page":
            start = (int(query["page"]) - 1) * self.size
        items = ITEMS[start : start + self.size]
        more = start + self.size < len(ITEMS)
        page: object = {"data": {"items": items}, "paging": {"next": start + self.size if more else None}}
        headers = {"Content_Type": "application/json"}
        if self.way == "link":
            page = items
            headers["Link"] = f'</books?from={start + self.size}>; rel="next", </books>; rel="first"' if more else ""
        if self.way == "address":
            start = int(query.get("from", 0))
            items, more = ITEMS[start : start + self.size], start + self.size < len(ITEMS)
            page = {"data": {"items": items}, "paging": {"next": f"/books?from={start + self.size}" if more else ""}}
        body(json.dumps(page).encode(), **headers)(handler)


IN_DATA = {"items": "/data/items"}


@pytest.mark.parametrize(
    ("way", "options", "requests"),
    [
        ("link", {}, 3),
        ("cursor", {**IN_DATA, "pagination": "cursor", "cursor": "/paging/next", "cursor_parameter": "after"}, 3),
        ("address", {**IN_DATA, "pagination": "cursor", "cursor": "/paging/next"}, 3),
        ("page", {**IN_DATA, "pagination": "page"}, 4),
        ("offset", {**IN_DATA, "pagination": "offset", "size_parameter": "limit", "page_size": 3}, 4),
    ],
)
def test_every_way_of_paging(server: LocalServer, tmp_path: Path, way: str, options: dict, requests: int) -> None:
    interface = Interface(server, way)
    request = _request(server, tmp_path, api=options, labels=["lang"], split_by="id", language="es")
    tally = Tally()
    texts = list(source_for(request.address).read(request, tally))
    assert ["".join(text.pieces) for text in texts] == [item["text"] for item in ITEMS]
    assert [dict(text.labels) for text in texts] == [{"lang": item["lang"]} for item in ITEMS]
    assert [text.split_key for text in texts] == [str(n) for n in range(7)]
    assert [text.record for text in texts] == [1, 2, 3, 1, 2, 3, 1]
    assert len(interface.asked) == requests
    read = arrow(tally)
    assert (read.items_in, read.items_out) == (7, 7)
    assert read.bytes_in + sum(change.bytes for change in read.changes) == read.bytes_out
    fingerprint = source_for(request.address).fingerprint(request)
    assert (fingerprint.texts, fingerprint.bytes, fingerprint.language) == (7, read.bytes_in, "es")
    assert source_for(request.address).check(request).texts == 7
    assert len(interface.asked) == requests
    if way == "offset":
        assert all("limit=3" in path for path in interface.asked)


def test_check_asks_for_one_page_and_keeps_nothing(server: LocalServer, tmp_path: Path) -> None:
    interface = Interface(server, "link")
    request = _request(server, tmp_path)
    checked = source_for(request.address).check(request)
    assert "its first page has 3 items" in checked.message and checked.formats == ["json"]
    assert len(interface.asked) == 1 and not (tmp_path / "downloads").exists()
    assert server.seen[0][2]["accept"] == "application/json"


def test_items_without_text_are_counted_by_reason(server: LocalServer, tmp_path: Path) -> None:
    items = [{"text": "a"}, {}, {"text": None}, {"text": 7}, {"text": "\ud800"}, 5, {"text": "\\"}]
    data = json.dumps(items).encode()
    server.plans["/books"] = [body(data)]
    tally = Tally()
    assert _texts(_request(server, tmp_path), tally) == ["a", "\\"]
    found = changes(tally)
    assert {reason: items for reason, (_, items) in found.items()} == {
        "text_is_missing": -2,
        "text_is_null": -1,
        "text_is_not_text": -1,
        "text_is_not_unicode": -1,
        "json_around_the_texts": 0,
    }
    assert found["json_around_the_texts"][0] == 2 - len(data)


def test_max_records_takes_the_first(server: LocalServer, tmp_path: Path) -> None:
    interface = Interface(server, "link")
    tally = Tally()
    assert _texts(_request(server, tmp_path, api={"max_records": 4}), tally) == [item["text"] for item in ITEMS[:4]]
    assert len(interface.asked) == 2
    assert changes(tally)["beyond_max_records"] == (0, -2)


def test_too_many_pages_stop_and_are_kept(server: LocalServer, tmp_path: Path) -> None:
    interface = Interface(server, "link")
    request = _request(server, tmp_path, api={"max_requests": 2})
    with pytest.raises(ResourceError, match="has more than 2 pages; those are kept") as caught:
        _texts(request)
    assert caught.value.code == ErrorCode.INSUFFICIENT_RESOURCES
    assert len(_texts(_request(server, tmp_path))) == 7
    assert len(interface.asked) == 3


@pytest.mark.parametrize(
    ("page", "said"),
    [
        (
            b'[{"text": "cut off',
            r"page 2 of the interface \(.*\) is not JSON: Unterminated string .*; the 1 pages before",
        ),
        (b"<html>busy</html>", "is not JSON: Expecting value"),
        (b'[{"text": NaN}]', "is not JSON: NaN is no JSON value"),
        (b'["a\xf1o"]', "is not UTF-8: byte 0xf1 at 3"),
        (b'{"message": "no"}', "has dict at its top, where the list of items should be"),
        (b"[" * 200_000, "is (nested too deeply|not JSON)"),
    ],
)
def test_a_broken_page_is_named_and_asked_again(server: LocalServer, tmp_path: Path, page: bytes, said: str) -> None:
    interface = Interface(server, "link")
    server.plans["/books?from=3"] = [body(page)]
    request = _request(server, tmp_path)
    with pytest.raises(DataError, match=said) as caught:
        _texts(request)
    assert caught.value.code == ErrorCode.CORRUPT_DATA
    assert len(_texts(request)) == 7
    assert interface.asked == ["/books", "/books?from=3", "/books?from=6"]


def test_a_missing_list_is_named(server: LocalServer, tmp_path: Path) -> None:
    Interface(server, "cursor")
    with pytest.raises(DataError, match=r"has nothing at /data/itmes \(itmes is not there\)"):
        source_for("api+http:").check(_request(server, tmp_path, api={"items": "/data/itmes"}))


def test_pages_in_a_circle_are_noticed(server: LocalServer, tmp_path: Path) -> None:
    server.plans["/books"] = [body(b'[{"text": "a"}]', Link='</books?p=2>; rel="next"')]
    server.plans["/books?p=2"] = [body(b'[{"text": "b"}]', Link='</books>; rel="next"')]
    with pytest.raises(DataError, match=r"page 3 of the interface .* was page 1 already: its pages do not lead on"):
        _texts(_request(server, tmp_path))
    server.files["/same?page=1"] = server.files["/same?page=2"] = b'[{"text": "a"}]'
    with pytest.raises(DataError, match="page 2 .* is the same, byte for byte, as the page before it"):
        _texts(_request(server, tmp_path, "/same", api={"pagination": "page"}))


def test_the_next_page_is_not_sought_on_another_server(server: LocalServer, tmp_path: Path) -> None:
    server.plans["/books"] = [body(b'[{"text": "a"}]', Link='<http://127.0.0.2:1/x>; rel="next"')]
    with pytest.raises(DataError, match=r"page 2 .*127.0.0.2:1/x\) is on another server than"):
        _texts(_request(server, tmp_path))


def test_a_cut_crawl_goes_on_where_it_stopped(server: LocalServer, tmp_path: Path) -> None:
    interface = Interface(server, "link")
    server.plans["/books?from=6"] = [status(500, Retry_After="4000")]
    request = _request(server, tmp_path)
    with pytest.raises(ResourceError, match="answers 500"):
        _texts(request)
    assert len(_texts(request)) == 7
    assert interface.asked == ["/books", "/books?from=3", "/books?from=6"]
    for damaged in (tmp_path / "downloads").rglob("*.bin"):
        damaged.write_bytes(b"[]")
    assert len(_texts(request)) == 7
    assert len(interface.asked) == 6


def test_a_busy_server_is_given_the_time_it_asks_for(server: LocalServer, tmp_path: Path) -> None:
    server.plans["/books"] = [status(429, Retry_After="0"), body(b'[{"text": "a"}]')]
    assert _texts(_request(server, tmp_path)) == ["a"]


def test_the_credential_goes_along(server: LocalServer, tmp_path: Path) -> None:
    Interface(server, "link")
    request = _request(server, tmp_path, credential="books")
    assert len(_texts(request)) == 7
    assert {headers["authorization"] for _, _, headers in server.seen} == {"Bearer opensesame"}
    kept = b"".join(path.read_bytes() for path in (tmp_path / "downloads").rglob("*") if path.is_file())
    assert b"opensesame" not in kept


def test_private_addresses_must_be_meant(server: LocalServer, tmp_path: Path) -> None:
    request = _request(server, tmp_path)
    closed = SourceRequest(request.entry, DataSection(sources=[request.entry]), request.downloads)
    with pytest.raises(RecipeError, match="a loopback address; sources are fetched from public"):
        source_for(request.address).check(closed)


def test_all_pages_together_are_limited(tmp_path: Path) -> None:
    cache = PageCache(tmp_path, {"a": 1}, max_bytes=10)
    with cache.locked():
        cache.add("u", b"12345678", found_at="u")
        with pytest.raises(ResourceError, match="the pages up to v have more than 10 bytes; 8 are kept"):
            cache.add("v", b"123", found_at="v")
    assert cache.finished() is None


def test_pointers() -> None:
    page = {"a/b": [{"~": 1}, "x"], "text": "t", "": 0}
    assert value_at(page, "") == page
    assert value_at(page, "text") == "t"
    assert value_at(page, "/a~1b/0/~0") == 1
    assert value_at(page, "/a~1b/1") == "x"
    assert value_at(page, "/") == 0
    for nowhere in ("/a", "/a~1b/2", "/a~1b/-1", "/text/0", "x"):
        with pytest.raises(NotThere):
            value_at(page, nowhere)


@given(st.dictionaries(st.text(), st.integers(), min_size=1))
def test_every_key_can_be_pointed_at(document: dict[str, int]) -> None:
    for key, value in document.items():
        assert value_at(document, "/" + key.replace("~", "~0").replace("/", "~1")) == value
