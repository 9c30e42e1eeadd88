"""Web pages from a real server: politeness, scope, one form of every address, and what is not read by reason."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ledger_lines import arrow, changes
from local_server import LocalServer, body, status

from loquela.core.errors import ErrorCode, RecipeError, ResourceError
from loquela.data.access.source_registry import source_for
from loquela.data.source_contract import SourceRequest
from loquela.data.tally import Tally
from loquela.data.web.addresses import Scope, canonical
from loquela.data.web.links import links_of
from loquela.recipe.schema import DataSection
from loquela.recipe.source_entry import SourceEntry

HTML = "text/html; charset=utf-8"


def _page(title: str, links: str = "", head: str = "") -> bytes:
    sentence = f"The chapter about {title} tells of rivers, of mountains and of the people who live there. "
    return (
        f'<html lang="en"><head><title>{title}</title>{head}</head><body><nav>{links}</nav>'
        f"<article><h1>{title}</h1><p>{sentence * 4}</p><p>{sentence * 3}</p></article>"
        "<footer>© us</footer></body></html>"
    ).encode()


def _serve(server: LocalServer, path: str, *args: str) -> None:
    server.files[path] = _page(*args)
    server.types[path] = HTML


def _link(*paths: str) -> str:
    return "".join(f'<a href="{path}">x</a>' for path in paths)


def _request(server: LocalServer, folder: Path, path: str = "/guide/", **more: object) -> SourceRequest:
    web = {"delay_seconds": 0, **more.pop("web", {})}
    entry = SourceEntry.model_validate({"address": server.url + path, "web": web, **more})
    section = DataSection(sources=[entry], allow_private_addresses=True, timeout_seconds=2.0, corpus_size_mb=5)
    return SourceRequest(entry, section, folder / "downloads")


def _read(request: SourceRequest, tally: Tally) -> dict[str, str]:
    start = request.address.partition("+")[2].rpartition("/guide/")[0]
    texts = source_for(request.address).read(request, tally)
    return {text.name.removeprefix(start): "".join(text.pieces) for text in texts}


def _asked(server: LocalServer) -> list[str]:
    return [path for _, path, _ in server.seen]


def test_pages_along_the_links_within_the_folder(server: LocalServer, tmp_path: Path) -> None:
    _serve(
        server, "/guide/", "start", _link("a.html", "/guide/b.html#part", "/other.html", "http://127.0.0.2:1/guide/")
    )
    _serve(server, "/guide/a.html", "rivers", _link("b.html", "c.html"))
    _serve(server, "/guide/b.html", "hills")
    _serve(server, "/guide/c.html", "too deep")
    request = _request(server, tmp_path, web={"depth": 1}, labels=["title"])
    tally = Tally()
    found = _read(request, tally)
    assert list(found) == ["/guide/", "/guide/a.html", "/guide/b.html"]
    assert found["/guide/a.html"].startswith("rivers\nThe chapter about rivers tells")
    assert "© us" not in found["/guide/a.html"]
    assert _asked(server) == ["/robots.txt", "/guide/", "/guide/a.html", "/guide/b.html"]
    read = arrow(tally)
    assert (read.items_in, read.items_out) == (3, 3)
    assert read.bytes_in == sum(len(server.files[path]) for path in found)
    assert read.bytes_in + changes(tally)["page_around_the_text"][0] == read.bytes_out
    fingerprint = source_for(request.address).fingerprint(request)
    assert (fingerprint.texts, fingerprint.bytes) == (3, read.bytes_in)
    text = next(iter(source_for(request.address).read(request, Tally())))
    assert (text.language, text.labels, text.object_name) == ("en", {"title": "start"}, server.url + "/guide/")
    assert len(_asked(server)) == 4


def test_robots_are_obeyed_and_traps_not_entered(server: LocalServer, tmp_path: Path) -> None:
    server.files["/robots.txt"] = (
        b"User-agent: loquela\nDisallow: /guide/trap/\nAllow: /guide/trap/open.html\nCrawl-delay: 0.05\n\n"
        b"User-agent: *\nDisallow: /\n"
    )
    links = _link("trap/1.html", "trap/%6Fpen.html", "/guide/./trap/../trap/2.html", "fine.html")
    _serve(server, "/guide/", "start", links)
    _serve(server, "/guide/trap/open.html", "open")
    _serve(server, "/guide/fine.html", "fine")
    tally = Tally()
    found = _read(_request(server, tmp_path, web={"depth": 3}), tally)
    assert list(found) == ["/guide/", "/guide/trap/open.html", "/guide/fine.html"]
    assert changes(tally)["disallowed_by_robots_txt"] == (0, -2)
    assert not any("/trap/1" in path or "/trap/2" in path for path in _asked(server))
    assert server.seen[0][2]["user-agent"] == "loquela"


@pytest.mark.parametrize("answer", [503, 500, 429])
def test_unreachable_robots_forbid_everything(server: LocalServer, tmp_path: Path, answer: int) -> None:
    _serve(server, "/guide/", "start")
    server.plans["/robots.txt"] = [status(answer, Retry_After="9999")] * 2
    request = _request(server, tmp_path)
    with pytest.raises(RecipeError, match="the robots.txt of its host does not let .*/guide/ be read") as caught:
        source_for(request.address).check(request)
    assert caught.value.code == ErrorCode.INVALID_SOURCE
    tally = Tally()
    assert _read(request, tally) == {}
    assert changes(tally) == {"disallowed_by_robots_txt": (0, -1)}
    assert set(_asked(server)) == {"/robots.txt"}


def test_a_pause_that_nobody_can_wait_for(server: LocalServer, tmp_path: Path) -> None:
    server.files["/robots.txt"] = b"User-agent: *\nCrawl-delay: 86400\n"
    _serve(server, "/guide/", "start")
    with pytest.raises(RecipeError, match=r"robots.txt of 127.0.0.1 asks for 86,400 s between two pages; 120 s are"):
        _read(_request(server, tmp_path), Tally())
    assert _asked(server) == ["/robots.txt"]


@pytest.mark.parametrize("answer", [404, 403, 418])
def test_robots_that_are_not_there_allow_everything(server: LocalServer, tmp_path: Path, answer: int) -> None:
    _serve(server, "/guide/", "start")
    server.plans["/robots.txt"] = [status(answer)]
    request = _request(server, tmp_path)
    checked = source_for(request.address).check(request)
    assert checked.formats == ["html"] and "answers, its first page has" in checked.message
    assert not (tmp_path / "downloads").exists()


def test_what_is_not_read_is_counted_by_reason(server: LocalServer, tmp_path: Path) -> None:
    names = ["missing", "closed", "broken", "pdf", "menu", "away", "again", "odd", "bomb"]
    _serve(server, "/guide/", "start", _link(*names))
    server.plans["/guide/closed"] = [status(403)]
    server.plans["/guide/broken"] = [status(500, Retry_After="9999")]
    server.plans["/guide/pdf"] = [body(b"%PDF-1.7 ...", Content_Type="application/pdf")]
    server.plans["/guide/menu"] = [body(b"<html><body></body></html>", Content_Type=HTML)]
    server.plans["/guide/away"] = [status(302, Location="/elsewhere")]
    server.files["/elsewhere"], server.types["/elsewhere"] = _page("elsewhere"), HTML
    server.plans["/guide/again"] = [
        body(_page("start", head=f'<link rel="canonical" href="{server.url}/guide/">'), Content_Type=HTML)
    ]
    spoilt = _page("odd").replace(b"tells", "contó".encode() + b"\xff", 3)
    server.plans["/guide/odd"] = [body(spoilt, Content_Type=HTML)]
    server.plans["/guide/bomb"] = [body(b"\x1f\x8b nonsense", Content_Type=HTML, Content_Encoding="gzip")]
    tally = Tally()
    assert list(_read(_request(server, tmp_path, web={"depth": 1}), tally)) == ["/guide/"]
    assert {reason: items for reason, (_, items) in changes(tally).items() if items} == {
        "page_not_found": -1,
        "page_refused_access": -1,
        "page_did_not_answer": -1,
        "not_html": -1,
        "page_without_main_text": -1,
        "page_moved_elsewhere": -1,
        "page_seen_under_another_address": -1,
        "page_of_unknown_encoding": -1,
        "page_damaged": -1,
    }
    read = arrow(tally)
    assert read.items_in == 10
    assert read.bytes_in + sum(change.bytes for change in read.changes) == read.bytes_out


def test_an_endless_calendar_ends_at_max_pages(server: LocalServer, tmp_path: Path) -> None:
    def day(handler) -> None:
        number = int(handler.path.partition("=")[2] or 0)
        links = _link(f"?day={number + 1}", f"?day={number + 2}", f"?day={number + 3}")
        body(_page(f"day {number}", links), Content_Type=HTML)(handler)

    server.files["/robots.txt"] = b""
    server.default = day
    tally = Tally()
    found = _read(_request(server, tmp_path, web={"depth": 100, "max_pages": 5}), tally)
    assert len(found) == 5
    assert changes(tally)["beyond_max_pages"] == (0, -3)
    assert len(_asked(server)) == 6


def test_a_cut_crawl_goes_on_with_what_is_missing(server: LocalServer, tmp_path: Path) -> None:
    _serve(server, "/guide/", "start", _link("a.html", "b.html"))
    _serve(server, "/guide/a.html", "rivers")
    _serve(server, "/guide/b.html", "hills")
    request = _request(server, tmp_path, web={"depth": 1})
    entry = request.entry.model_copy(update={})
    tiny = DataSection(sources=[entry], allow_private_addresses=True, timeout_seconds=2.0, corpus_size_mb=1)
    cramped = SourceRequest(entry, tiny, request.downloads)
    from loquela.data.web import crawl as module

    crawl = module.Crawl(cramped)
    crawl.cache.max_bytes = len(server.files["/guide/"]) + len(server.files["/guide/a.html"])
    with pytest.raises(ResourceError, match="b.html have more than"):
        crawl.everything()
    assert len(_read(request, Tally())) == 3
    assert _asked(server).count("/guide/a.html") == 1
    finished = list((tmp_path / "downloads").rglob("finished.json"))
    assert len(finished) == 1


def test_pages_that_ask_not_to_be_followed(server: LocalServer, tmp_path: Path) -> None:
    _serve(server, "/guide/", "start", '<a rel="nofollow" href="x.html">x</a>' + _link("a.html"))
    _serve(server, "/guide/a.html", "rivers", _link("b.html"), '<meta name="robots" content="noindex, NOFOLLOW">')
    assert list(_read(_request(server, tmp_path, web={"depth": 9}), Tally())) == ["/guide/", "/guide/a.html"]


def test_several_starts_on_one_host(server: LocalServer, tmp_path: Path) -> None:
    _serve(server, "/guide/", "start")
    _serve(server, "/guide/b.html", "hills")
    request = _request(server, tmp_path, web={"start": [server.url + "/guide/b.html", server.url + "/guide/"]})
    assert list(_read(request, Tally())) == ["/guide/", "/guide/b.html"]
    with pytest.raises(RecipeError, match="the start page 'https://other.example/' is not on the host of"):
        source_for("web+http:").check(_request(server, tmp_path, web={"start": ["https://other.example/"]}))


def test_nothing_of_a_page_is_executed_or_fetched(server: LocalServer, tmp_path: Path) -> None:
    head = (
        '<script src="/guide/evil.js"></script><script>fetch("/guide/stolen")</script>'
        '<link rel="stylesheet" href="/guide/style.css"><meta http-equiv="refresh" content="0; url=/guide/refresh">'
    )
    _serve(server, "/guide/", "start", '<img src="/guide/pixel.png"><iframe src="/guide/frame"></iframe>', head)
    found = _read(_request(server, tmp_path, web={"depth": 5}), Tally())
    assert _asked(server) == ["/robots.txt", "/guide/"]
    assert "stolen" not in found["/guide/"]


def test_private_addresses_must_be_meant(server: LocalServer, tmp_path: Path) -> None:
    request = _request(server, tmp_path)
    closed = SourceRequest(request.entry, DataSection(sources=[request.entry]), request.downloads)
    with pytest.raises(RecipeError, match="does not let .* be read"):
        source_for(request.address).check(closed)
    assert server.seen == []


@pytest.mark.parametrize(
    ("address", "form"),
    [
        ("HTTP://Example.ORG:80/a/../b/./c#part", "http://example.org/b/c"),
        ("https://example.org", "https://example.org/"),
        ("https://example.org:8443/x", "https://example.org:8443/x"),
        ("https://example.org/%7euser/%2fx/%C3%B1", "https://example.org/~user/%2Fx/%C3%B1"),
        ("https://example.org/ñ?q=a b", "https://example.org/%C3%B1?q=a%20b"),
        ("https://example.org/a/?b=1&a=2", "https://example.org/a/?b=1&a=2"),
        ("ftp://example.org/", None),
        ("mailto:me@example.org", None),
        ("javascript:alert(1)", None),
        ("https://user:opensesame@example.org/", None),
        ("https://exa\x00mple.org", None),
    ],
)
def test_one_form_of_every_address(address: str, form: str | None) -> None:
    assert canonical(address) == form


@given(st.text("aB%7eE2fF/.?#&=ñ ", max_size=20))
def test_the_one_form_is_stable(rest: str) -> None:
    once = canonical("http://example.org/" + rest)
    assert once is None or canonical(once) == once


def test_scopes() -> None:
    scope = Scope.of("https://example.org/guide/start.html", "prefix")
    assert scope.holds("https://example.org/guide/x/y") and not scope.holds("https://example.org/guidebook")
    assert not scope.holds("https://www.example.org/guide/") and not scope.holds("https://example.org:444/guide/")
    assert Scope.of("https://example.org/guide/start.html", "host").holds("https://example.org/")


def test_links_of_pages_in_odd_shape() -> None:
    html = b'<base href="/b/"><a href=x>1<a href="  y ">2<a href="//[bad">3<a href="x">4<a>5<A HREF="#top">6'
    found = links_of(html, "http://example.org/a/")
    assert found.links == ("http://example.org/b/x", "http://example.org/b/y", "http://example.org/b/")
    assert found.canonical is None
    assert links_of("<a href='x'>".encode("utf-16"), "http://example.org/").links == ("http://example.org/x",)
    assert links_of(b"\xff\x00<a href=", "http://example.org/").links == ()
