"""The guarded fetcher against a real server that drips, lies, bombs and sends it elsewhere."""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path

import brotli
import httpx
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st
from local_server import LocalServer, body, drip, drip_headers, stall, status

from loquela.core.errors import DataError, ErrorCode, RecipeError, ResourceError
from loquela.data.access.source_registry import source_for
from loquela.data.access.transfer import transfer
from loquela.data.source_contract import SourceRequest
from loquela.recipe.schema import DataSection
from loquela.recipe.source_entry import SourceEntry
from loquela.security import addresses, content_coding
from loquela.security.content_coding import accepted_codings, unpacked
from loquela.security.credentials.credential import from_text
from loquela.security.http_auth import BoundHeaders, bound_headers
from loquela.security.http_fetch import Fetched, Fetcher
from loquela.security.http_policy import HttpPolicy
from loquela.security.pace import Pace

POLICY = HttpPolicy(allow_private=True, timeout_seconds=5.0, backoff_seconds=0.01, max_bytes=10**6)
HASTY = HttpPolicy(allow_private=True, timeout_seconds=5.0, total_seconds=0.3, backoff_seconds=0.01, retries=1)
TOKEN = "opensesame-42"  # noqa: S105 - the secret of these tests


def _get(url: str, policy: HttpPolicy = POLICY, bound: BoundHeaders | None = None) -> Fetched:
    with Fetcher(policy, bound=bound) as fetcher:
        return fetcher.get(url)


def _zstd(data: bytes) -> bytes:
    return zstandard.ZstdCompressor().compress(data)


def _raw_deflate(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(data) + packer.flush()


def _brotli(data: bytes) -> bytes:
    return brotli.compress(data, quality=1)


PACKERS = {"gzip": gzip.compress, "deflate": zlib.compress, "br": _brotli, "zstd": _zstd}


# ── compressed bodies ─────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("coding", PACKERS)
def test_compressed_bodies_are_unpacked(server: LocalServer, coding: str) -> None:
    text = "año " * 20_000
    server.plans["/a"] = [body(PACKERS[coding](text.encode()), Content_Encoding=coding, Content_Type="text/x; q=1")]
    found = _get(server.url + "/a")
    assert (found.body.decode(), found.content_type, found.url) == (text, "text/x; q=1", server.url + "/a")
    assert server.seen[0][2]["accept-encoding"] == "gzip, deflate, br, zstd"


@settings(max_examples=60, deadline=None)
@given(data=st.binary(max_size=3000), repeat=st.integers(1, 60), cuts=st.lists(st.integers(0, 200), max_size=8))
@pytest.mark.parametrize("packer", [*PACKERS.values(), _raw_deflate])
def test_any_body_in_any_pieces(packer, data: bytes, repeat: int, cuts: list[int]) -> None:
    coding = next((name for name, known in PACKERS.items() if known is packer), "deflate")
    packed, plain = packer(data * repeat), data * repeat
    places = sorted({min(cut, len(packed)) for cut in cuts} | {len(packed)})
    chunks = [packed[a:b] for a, b in zip([0, *places], places, strict=False)]
    if coding == "deflate" and len(chunks[0]) < 2:
        chunks = [packed]
    assert b"".join(unpacked(chunks, coding, "u", POLICY)) == plain


def test_gzip_of_several_members() -> None:
    packed = gzip.compress(b"one") + gzip.compress(b"two")
    assert b"".join(unpacked([packed], "gzip", "u", POLICY)) == b"onetwo"
    assert b"".join(unpacked([packed[:9], packed[9:25], packed[25:]], "gzip", "u", POLICY)) == b"onetwo"
    assert b"".join(unpacked([_zstd(b"one") + _zstd(b"two")], "zstd", "u", POLICY)) == b"onetwo"


@pytest.mark.parametrize("coding", PACKERS)
def test_bombs_are_noticed_while_they_are_small(server: LocalServer, coding: str) -> None:
    server.plans["/a"] = [body(PACKERS[coding](bytes(60_000_000)), Content_Encoding=coding)]
    with pytest.raises(DataError, match="grows more than 200 times when it is unpacked: a bomb") as caught:
        _get(server.url + "/a", HttpPolicy(allow_private=True, max_bytes=10**8))
    assert caught.value.code == ErrorCode.CORRUPT_DATA
    pieces = unpacked([PACKERS[coding](bytes(60_000_000))], coding, "u", POLICY)
    grown = 0
    with pytest.raises(DataError, match="a bomb"):
        for piece in pieces:
            grown += len(piece)
            assert len(piece) <= 8 << 20
    assert grown < 30_000_000


@pytest.mark.parametrize("coding", PACKERS)
def test_damage_and_missing_ends_are_noticed(coding: str) -> None:
    packed = PACKERS[coding](b"some text that is long enough to be compressed " * 9)
    with pytest.raises(DataError, match=f"the body of u is {coding} data without its end"):
        list(unpacked([packed[:-3]], coding, "u", POLICY))
    with pytest.raises(DataError, match="the body of u is "):
        list(unpacked([packed[:6] + bytes(20)], coding, "u", POLICY))
    with pytest.raises(DataError, match="without its end; 0 bytes"):
        list(unpacked([], coding, "u", POLICY))


def test_codings_nobody_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    for coding in ("compress", "gzip, br"):
        with pytest.raises(DataError, match=f"u sent {coding}-compressed data though asked for gzip"):
            list(unpacked([b"x"], coding, "u", POLICY))
    monkeypatch.setattr(content_coding.importlib.util, "find_spec", lambda name: None)
    assert accepted_codings() == "gzip, deflate"
    with pytest.raises(DataError, match="sent br-compressed data though asked for gzip, deflate at most"):
        list(unpacked([b"x"], "br", "u", POLICY))


# ── size and time ─────────────────────────────────────────────────────────────────────────────────────────────


def test_larger_than_allowed(server: LocalServer) -> None:
    server.plans["/a"] = [body(b"x" * 1_000_001)]
    with pytest.raises(ResourceError, match="the answer of .*/a has more than 1,000,000 bytes") as caught:
        _get(server.url + "/a")
    assert caught.value.code == ErrorCode.INSUFFICIENT_RESOURCES


@pytest.mark.parametrize("behaviour", [drip, drip_headers])
def test_a_slow_drip_ends_at_the_deadline(server: LocalServer, behaviour, tmp_path: Path) -> None:
    server.plans["/a"] = [behaviour]
    with pytest.raises(ResourceError, match=r"/a took longer than 0.3 s for one answer") as caught:
        _get(server.url + "/a", HASTY)
    assert caught.value.code == ErrorCode.TIMEOUT
    server.plans["/b"] = [behaviour]
    with pytest.raises(ResourceError, match=r"/b took longer than 0.3 s in all"):
        transfer(server.url + "/b", tmp_path / "x.part", HASTY)
    assert [path for _, path, _ in server.seen] == ["/a", "/b"]


def test_stalls_and_lies(server: LocalServer) -> None:
    server.plans["/stall"] = [stall, stall]
    quick = HttpPolicy(allow_private=True, timeout_seconds=0.2, backoff_seconds=0.01, retries=1)
    with pytest.raises(ResourceError, match=r"/stall sent nothing for 0.2 s"):
        _get(server.url + "/stall", quick)

    def lie(handler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", "500")
        handler.end_headers()
        handler.wfile.write(b"x" * 400)

    server.plans["/lie"] = [lie] * 4
    with pytest.raises(ResourceError, match="the connection to .*/lie failed: peer closed connection"):
        _get(server.url + "/lie")


def test_retry_after_is_obeyed(server: LocalServer) -> None:
    server.plans["/a"] = [status(429, Retry_After="0"), body(b"{}")]
    assert _get(server.url + "/a").body == b"{}"
    server.plans["/b"] = [status(503, Retry_After="4000")]
    with pytest.raises(ResourceError, match="answers 503"):
        _get(server.url + "/b")


def test_pace() -> None:
    now = [100.0]
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        now[0] += seconds

    pace = Pace(2.0, clock=lambda: now[0], sleep=sleep)
    pace.wait("a")
    pace.wait("b")
    now[0] += 0.5
    pace.wait("a")
    pace.slow_down("b", 5.0)
    pace.wait("b")
    now[0] += 60
    pace.wait("a")
    assert slept == [1.5, 3.0]


# ── redirects, addresses, secrets ─────────────────────────────────────────────────────────────────────────────


def _bound(server: LocalServer, text: str = TOKEN) -> BoundHeaders:
    return bound_headers(from_text(text, "x"), "x", httpx.URL(server.url), allow_private=True)


@pytest.mark.parametrize(
    ("text", "header", "value"),
    [
        (TOKEN, "authorization", f"Bearer {TOKEN}"),
        ('{"kind": "basic", "username": "u", "password": "p"}', "authorization", "Basic dTpw"),
        ('{"kind": "header", "header": "X-Api-Key", "value": "v"}', "x-api-key", "v"),
    ],
)
def test_credentials_become_headers(server: LocalServer, text: str, header: str, value: str) -> None:
    server.files["/a"] = b"x"
    server.plans["/moved"] = [status(302, Location="/a")]
    _get(server.url + "/moved", bound=_bound(server, text))
    assert [headers.get(header) for _, _, headers in server.seen] == [value, value]


def test_a_file_behind_a_credential(server: LocalServer, tmp_path: Path) -> None:
    server.files["/a.txt"] = b"text"
    entry = SourceEntry(address=server.url + "/a.txt", credential="x")
    section = DataSection(sources=[entry], allow_private_addresses=True)
    request = SourceRequest(entry, section, tmp_path, find_credential=lambda name: from_text(TOKEN, name))
    assert source_for(entry.address).check(request).size_bytes == 4
    assert source_for(entry.address).fingerprint(request).bytes == 4
    assert [headers["authorization"] for _, _, headers in server.seen] == [f"Bearer {TOKEN}"] * 2


def test_a_redirect_to_another_server_gets_no_secret(server: LocalServer) -> None:
    other = LocalServer()
    try:
        other.files["/b"] = b"elsewhere"
        for text in (TOKEN, '{"kind": "header", "header": "X-Api-Key", "value": "opensesame-42"}'):
            server.plans["/a"] = [status(302, Location=other.url + "/b")]
            assert _get(server.url + "/a", bound=_bound(server, text)).body == b"elsewhere"
        assert len(other.seen) == 2
        assert all(TOKEN not in str(headers) for _, _, headers in other.seen)
    finally:
        other.close()


def test_secrets_do_not_go_over_plain_http() -> None:
    with pytest.raises(RecipeError, match="'x' would go to api.example.org over http, where everybody") as caught:
        bound_headers(from_text(TOKEN, "x"), "x", httpx.URL("http://api.example.org"), allow_private=False)
    assert caught.value.code == ErrorCode.INVALID_SOURCE
    bound = bound_headers(from_text(TOKEN, "x"), "x", httpx.URL("https://api.example.org/a"), allow_private=False)
    assert bound.of(httpx.URL("https://API.example.org/b")) != ()
    for other in ("http://api.example.org", "https://api.example.org:8443", "https://example.org"):
        assert bound.of(httpx.URL(other)) == ()
    assert TOKEN not in repr(bound)


def test_kinds_that_no_header_carries() -> None:
    pair = from_text('{"kind": "key_pair", "access_key_id": "a", "secret_access_key": "s"}', "x")
    with pytest.raises(RecipeError, match="'x' is a key_pair, which web servers do not take"):
        bound_headers(pair, "x", httpx.URL("https://a.example"), allow_private=False)


def test_a_refusal_says_what_to_do(server: LocalServer) -> None:
    server.plans["/a"] = [status(401)]
    with pytest.raises(ResourceError, match="refuses access: 401") as caught:
        _get(server.url + "/a")
    assert caught.value.code == ErrorCode.AUTH_FAILED
    assert "credential" in caught.value.remedy


def test_redirects_to_forbidden_addresses(server: LocalServer, monkeypatch: pytest.MonkeyPatch) -> None:
    real = addresses.refusal
    monkeypatch.setattr(addresses, "refusal", lambda text: None if text == "127.0.0.1" else real(text))
    for target in (f"http://127.0.0.2:{server.port}/", "http://[::1]/", "http://169.254.169.254/latest/meta-data"):
        server.plans["/a"] = [status(302, Location=target)]
        with pytest.raises(RecipeError, match="sources are fetched from public addresses only"):
            _get(server.url + "/a", HttpPolicy())
    server.plans["/a"] = [status(302, Location="file:///etc/passwd")]
    with pytest.raises(RecipeError, match="cannot be fetched"):
        _get(server.url + "/a", HttpPolicy())
    assert {path for _, path, _ in server.seen} == {"/a"}


def test_cookies_are_not_kept(server: LocalServer) -> None:
    server.plans["/a"] = [body(b"1", Set_Cookie="id=7; Path=/"), body(b"2")]
    with Fetcher(POLICY) as fetcher:
        fetcher.get(server.url + "/a")
        fetcher.get(server.url + "/a")
    assert "cookie" not in server.seen[1][2]
