"""Downloads against a real server that stalls, cuts, lies, moves and comes back."""

import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest
from local_server import LocalServer, cut_after, stall, status

from loquela.core.errors import DataError, ErrorCode, RecipeError, ResourceError
from loquela.data.access.downloads import Downloads, policy_of
from loquela.data.access.transfer import probe, transfer
from loquela.recipe.schema import DataSection
from loquela.security import addresses
from loquela.security.http_policy import HttpPolicy

TEXT = bytes(range(97, 123)) * 10_000
POLICY = HttpPolicy(allow_private=True, timeout_seconds=5.0, backoff_seconds=0.01)
HASTY = HttpPolicy(allow_private=True, timeout_seconds=0.2, backoff_seconds=0.01, retries=1)


def _ranges(server: LocalServer) -> list[str | None]:
    return [headers.get("range") for method, _, headers in server.seen if method == "GET"]


def test_whole_file_arrives(server: LocalServer, tmp_path: Path) -> None:
    server.files["/a.txt"] = TEXT
    answer = transfer(server.url + "/a.txt", tmp_path / "x.part", POLICY)
    assert (tmp_path / "x.part").read_bytes() == TEXT
    assert answer.total_bytes == len(TEXT)
    assert probe(server.url + "/a.txt", POLICY).total_bytes == len(TEXT)


def test_two_503_then_the_file(server: LocalServer, tmp_path: Path) -> None:
    server.files["/a.txt"] = TEXT
    server.plans["/a.txt"] = [status(503), status(503, Retry_After="0")]
    transfer(server.url + "/a.txt", tmp_path / "x.part", POLICY)
    assert (tmp_path / "x.part").read_bytes() == TEXT
    assert len(server.seen) == 3


def test_gives_up_after_three_retries_and_says_so(server: LocalServer, tmp_path: Path) -> None:
    server.plans["/a.txt"] = [status(500)] * 9
    with pytest.raises(ResourceError, match=r"/a.txt answers 500 Internal Server Error") as caught:
        transfer(server.url + "/a.txt", tmp_path / "x.part", POLICY)
    assert caught.value.retryable
    assert "same command again" in caught.value.remedy
    assert len(server.seen) == 4


def test_long_retry_after_is_not_waited_for(server: LocalServer, tmp_path: Path) -> None:
    later = format_datetime(datetime.now(UTC) + timedelta(hours=1), usegmt=True)
    server.plans["/a.txt"] = [status(429, Retry_After=later)]
    with pytest.raises(ResourceError, match="answers 429"):
        transfer(server.url + "/a.txt", tmp_path / "x.part", POLICY)
    assert len(server.seen) == 1


def test_cut_connection_goes_on_where_it_stopped(server: LocalServer, tmp_path: Path) -> None:
    server.files["/a.txt"] = TEXT
    server.plans["/a.txt"] = [cut_after(100_000)]
    transfer(server.url + "/a.txt", tmp_path / "x.part", POLICY)
    assert (tmp_path / "x.part").read_bytes() == TEXT
    assert _ranges(server) == [None, "bytes=100000-"]


def test_what_arrived_is_kept_for_the_next_command(server: LocalServer, tmp_path: Path) -> None:
    server.files["/a.txt"] = TEXT
    server.plans["/a.txt"] = [cut_after(1000)]
    once = HttpPolicy(allow_private=True, retries=0)
    with pytest.raises(ResourceError, match="connection to .* failed"):
        transfer(server.url + "/a.txt", tmp_path / "x.part", once)
    assert (tmp_path / "x.part").read_bytes() == TEXT[:1000]
    transfer(server.url + "/a.txt", tmp_path / "x.part", once)
    assert (tmp_path / "x.part").read_bytes() == TEXT
    assert _ranges(server) == [None, "bytes=1000-"]


def test_file_that_changed_in_between_starts_over(server: LocalServer, tmp_path: Path) -> None:
    server.files["/a.txt"] = TEXT

    def cut_and_change(handler) -> None:
        cut_after(1000)(handler)
        server.files["/a.txt"] = TEXT.upper()

    server.plans["/a.txt"] = [cut_and_change]
    transfer(server.url + "/a.txt", tmp_path / "x.part", POLICY)
    assert (tmp_path / "x.part").read_bytes() == TEXT.upper()


def test_wrong_part_is_not_appended(server: LocalServer, tmp_path: Path) -> None:
    server.files["/a.txt"] = TEXT

    def other_part(handler) -> None:
        handler.send_status(206, Content_Range=f"bytes 5-{len(TEXT) - 1}/{len(TEXT)}")

    server.plans["/a.txt"] = [cut_after(1000), other_part]
    transfer(server.url + "/a.txt", tmp_path / "x.part", POLICY)
    assert (tmp_path / "x.part").read_bytes() == TEXT
    assert _ranges(server) == [None, "bytes=1000-", None]


def test_range_that_no_longer_exists_starts_over(server: LocalServer, tmp_path: Path) -> None:
    server.files["/a.txt"] = TEXT
    server.plans["/a.txt"] = [cut_after(1000), status(416)]
    transfer(server.url + "/a.txt", tmp_path / "x.part", POLICY)
    assert (tmp_path / "x.part").read_bytes() == TEXT


def test_lying_content_length_is_never_taken_for_whole(server: LocalServer, tmp_path: Path) -> None:
    def lie(handler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", "500")
        handler.end_headers()
        handler.wfile.write(b"x" * 400)

    server.plans["/a.txt"] = [lie] * 4
    with pytest.raises(ResourceError, match="connection to .* failed: peer closed connection"):
        transfer(server.url + "/a.txt", tmp_path / "x.part", POLICY)


def test_stalled_server_times_out(server: LocalServer, tmp_path: Path) -> None:
    server.plans["/a.txt"] = [stall, stall]
    with pytest.raises(ResourceError, match=r"sent nothing for 0.2 s") as caught:
        transfer(server.url + "/a.txt", tmp_path / "x.part", HASTY)
    assert caught.value.code == ErrorCode.TIMEOUT


def test_total_time_and_size_are_limited(server: LocalServer, tmp_path: Path) -> None:
    server.files["/a.txt"] = TEXT
    slow = HttpPolicy(allow_private=True, total_seconds=0.0)
    with pytest.raises(ResourceError, match="took longer than 0 s in all") as caught:
        transfer(server.url + "/a.txt", tmp_path / "x.part", slow)
    assert caught.value.code == ErrorCode.TIMEOUT
    small = HttpPolicy(allow_private=True, max_bytes=1000)
    said = r"has 260,000 bytes; with data.corpus_size_mb as it is, at most 1,000"
    with pytest.raises(ResourceError, match=said) as caught:
        transfer(server.url + "/a.txt", tmp_path / "y.part", small)
    assert "corpus_size_mb" in caught.value.remedy

    def endless(handler) -> None:
        handler.send_response(200)
        handler.end_headers()
        handler.wfile.write(b"x" * 5000)

    server.plans["/b.txt"] = [endless]
    with pytest.raises(ResourceError, match="has more than 1,000 bytes"):
        transfer(server.url + "/b.txt", tmp_path / "z.part", small)


@pytest.mark.parametrize(
    ("code", "kind", "error_code"),
    [
        (404, DataError, ErrorCode.DATA_NOT_FOUND),
        (403, ResourceError, ErrorCode.AUTH_FAILED),
        (418, ResourceError, ErrorCode.NETWORK_ERROR),
    ],
)
def test_final_answers_are_not_retried(server: LocalServer, tmp_path: Path, code: int, kind, error_code) -> None:
    server.plans["/a.txt"] = [status(code)]
    with pytest.raises(kind, match=str(code)) as caught:
        transfer(server.url + "/a.txt", tmp_path / "x.part", POLICY)
    assert caught.value.code == error_code
    assert len(server.seen) == 1


def test_web_page_and_compressed_data_are_refused(server: LocalServer, tmp_path: Path) -> None:
    server.files["/a.txt"], server.types["/a.txt"] = b"<html>", "text/html; charset=utf-8"
    with pytest.raises(DataError, match="answers with a web page"):
        transfer(server.url + "/a.txt", tmp_path / "x.part", POLICY)
    server.plans["/b.txt"] = [status(200, Content_Encoding="gzip")]
    with pytest.raises(DataError, match="sent gzip-compressed data though asked not to"):
        transfer(server.url + "/b.txt", tmp_path / "x.part", POLICY)


def test_nobody_listens(tmp_path: Path) -> None:
    with pytest.raises(ResourceError, match=r"connection to http://127.0.0.1:9/a.txt failed"):
        transfer("http://127.0.0.1:9/a.txt", tmp_path / "x.part", HASTY)


def test_private_address_is_refused_without_a_connection(server: LocalServer, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"127.0.0.1 leads to 127.0.0.1, a loopback address") as caught:
        transfer(server.url + "/a.txt", tmp_path / "x.part", HttpPolicy())
    assert "allow_private_addresses" in caught.value.remedy
    assert server.seen == []


def test_redirect_to_a_forbidden_address_is_refused(
    server: LocalServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = addresses.refusal
    monkeypatch.setattr(addresses, "refusal", lambda text: None if text == "127.0.0.1" else real(text))
    server.plans["/a.txt"] = [status(302, Location=f"http://127.0.0.2:{server.port}/secret")]
    with pytest.raises(RecipeError, match=r"127.0.0.2 leads to 127.0.0.2, a loopback address"):
        transfer(server.url + "/a.txt", tmp_path / "x.part", HttpPolicy())
    assert [path for _, path, _ in server.seen] == ["/a.txt"]


def test_redirects_are_followed_but_not_for_ever(server: LocalServer, tmp_path: Path) -> None:
    server.files["/b.txt"] = TEXT
    server.plans["/a.txt"] = [status(302, Location="/b.txt")]
    assert transfer(server.url + "/a.txt", tmp_path / "x.part", POLICY).url == server.url + "/b.txt"
    server.plans["/loop"] = [status(302, Location="/loop")] * 9
    with pytest.raises(RecipeError, match="cannot be fetched: Exceeded maximum allowed redirects"):
        transfer(server.url + "/loop", tmp_path / "y.part", POLICY)
    server.plans["/away"] = [status(302, Location="file:///etc/passwd")]
    with pytest.raises(RecipeError, match="cannot be fetched"):
        transfer(server.url + "/away", tmp_path / "z.part", POLICY)


def test_head_may_be_unsupported(server: LocalServer) -> None:
    server.files["/a.txt"] = TEXT
    original = server._server.RequestHandlerClass.do_HEAD
    server._server.RequestHandlerClass.do_HEAD = lambda handler: handler.send_status(405)
    try:
        assert probe(server.url + "/a.txt", POLICY).total_bytes == len(TEXT)
    finally:
        server._server.RequestHandlerClass.do_HEAD = original


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("http://user:secret@example.org/a.txt", "holds a password"),
        ("ftp://example.org/a.txt", "http:// or https://"),
        ("http://", "http:// or https://"),
        ("http://exa\x00mple.org", "is not an address"),
    ],
)
def test_bad_addresses_are_refused(tmp_path: Path, url: str, message: str) -> None:
    with pytest.raises(RecipeError, match=message) as caught:
        transfer(url, tmp_path / "x.part", POLICY)
    assert caught.value.code == ErrorCode.INVALID_SOURCE
    assert "secret" not in caught.value.message


def test_kept_file_is_used_until_it_is_damaged(server: LocalServer, tmp_path: Path) -> None:
    server.files["/a.txt"] = TEXT
    downloads = Downloads(tmp_path / "downloads", POLICY)
    first = downloads.fetch(server.url + "/a.txt")
    assert first.path.read_bytes() == TEXT
    record = json.loads(first.path.with_suffix(".json").read_text())
    assert record["size_bytes"] == len(TEXT)
    assert sorted(path.suffix for path in (tmp_path / "downloads").iterdir()) == [".bin", ".json", ".lock"]
    assert downloads.fetch(server.url + "/a.txt") == first
    assert downloads.size(server.url + "/a.txt") == len(TEXT)
    assert len(server.seen) == 1
    first.path.write_bytes(TEXT[:-1] + b"!")
    assert downloads.fetch(server.url + "/a.txt").path.read_bytes() == TEXT
    assert len(server.seen) == 2


def test_policy_comes_from_the_recipe() -> None:
    policy = policy_of(DataSection(corpus_size_mb=3, timeout_seconds=2, allow_private_addresses=True))
    assert (policy.max_bytes, policy.timeout_seconds, policy.total_seconds) == (30_000_000, 2, 240)
    assert policy.allow_private
    assert policy.retries == 3
