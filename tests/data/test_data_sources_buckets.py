"""Buckets: listed, read by range, resumed, noticed when they change; against moto's S3 and a server that misbehaves."""

from __future__ import annotations

import gzip
import io
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from local_bucket import LocalBucket, changed_to, cut_after, stall_after, status
from pydantic import SecretStr

from loquela.core.errors import DataError, ErrorCode, LoquelaError, RecipeError, ResourceError
from loquela.data.access.source_registry import source_for
from loquela.data.objects.bucket_errors import bucket_error
from loquela.data.objects.buckets import _pattern, open_bucket
from loquela.data.source_contract import DividedSource, SourceRequest
from loquela.data.tally import Tally, utf8_size
from loquela.recipe.schema import DataSection
from loquela.recipe.source_entry import SourceEntry
from loquela.security.credentials.credential import Credential

Ask = Callable[..., SourceRequest]
LONG = "".join(f"line {n} of a long text\n" for n in range(200_000))


@pytest.fixture
def bucket() -> Iterator[LocalBucket]:
    running = LocalBucket()
    yield running
    running.close()


@pytest.fixture
def ask(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ask:
    for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_PROFILE", "GOOGLE_APPLICATION_CREDENTIALS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test-key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test-secret")

    def asked(address: str, endpoint: str | None, *, private: bool = True, **entry: object) -> SourceRequest:
        objects = {"endpoint": endpoint, "retries": 2, **entry.pop("objects", {})}
        written = SourceEntry.model_validate({"address": address, "objects": objects, **entry})
        section = DataSection(sources=[written], allow_private_addresses=private, timeout_seconds=1.0)
        return SourceRequest(written, section, tmp_path)

    return asked


def read(request: SourceRequest) -> list[tuple[str, str]]:
    tally = Tally()
    found = []
    for text in source_for(request.address).read(request, tally):
        content = "".join(text.pieces)
        tally.leave("decode", utf8_size(content), 1)
        found.append((text.name, content))
    for arrow in tally.arrows()[:2]:
        assert arrow.bytes_in + sum(change.bytes for change in arrow.changes) == arrow.bytes_out, arrow
        assert arrow.items_in + sum(change.items for change in arrow.changes) == arrow.items_out, arrow
    return found


def test_a_real_s3_server(ask: Ask) -> None:
    boto3 = pytest.importorskip("boto3")
    server = pytest.importorskip("moto.server").ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        url = f"http://{host}:{port}"
        client = boto3.client("s3", endpoint_url=url, region_name="us-east-1")
        client.create_bucket(Bucket="bucket")
        for key, data in (
            ("texts/a b.txt", "año\n".encode()),
            ("texts/d/b.jsonl.gz", gzip.compress(b'{"text": "uno"}\n{"text": "dos"}\n')),
            ("texts/d/c.jpg", b"\xff\xd8"),
            ("other.txt", b"x"),
        ):
            client.put_object(Bucket="bucket", Key=key, Body=data)
        request = ask("s3://bucket/texts/", url)
        source = source_for(request.address)
        assert source.check(request).texts == 3
        expected = [
            ("s3://bucket/texts/a b.txt", "año\n"),
            *[("s3://bucket/texts/d/b.jsonl.gz", t) for t in ("uno", "dos")],
        ]
        assert read(request) == expected
        assert read(ask("s3://bucket/texts/**/*.jsonl.gz", url)) == expected[1:]
        assert read(ask("s3://bucket/other.txt", url, name="other")) == [("other/other.txt", "x")]
        assert isinstance(source, DividedSource)
        assert [found.size_bytes for found in source.objects(request)][::2] == [5, 2]
        before = source.fingerprint(request)
        assert source.fingerprint(request) == before
        client.put_object(Bucket="bucket", Key="texts/a b.txt", Body="aña\n".encode())
        assert source.fingerprint(request) != before
        with pytest.raises(DataError, match="there is no s3://other-bucket/x: the bucket does not exist .404 NoSuchB"):
            source.check(ask("s3://other-bucket/x", url))
        with pytest.raises(DataError, match=r"there is no object s3://bucket/none/\*.txt") as caught:
            source.check(ask("s3://bucket/none/*.txt", url))
        assert caught.value.code == ErrorCode.DATA_NOT_FOUND
    finally:
        server.stop()


@pytest.mark.parametrize("scheme", ["s3", "gs", "az"])
def test_one_interface_for_every_cloud(ask: Ask, bucket: LocalBucket, scheme: str) -> None:
    bucket.files = {"d/a.txt": b"uno\n", "d/b.txt.gz": gzip.compress(b"dos\n"), "x.txt": b"tres\n"}
    options = {"anonymous": True, **({"account": "account"} if scheme == "az" else {})}
    request = ask(f"{scheme}://bucket/d/*", bucket.url, objects=options)
    assert read(request) == [(f"{scheme}://bucket/d/a.txt", "uno\n"), (f"{scheme}://bucket/d/b.txt.gz", "dos\n")]
    assert not any("authorization" in headers for _, _, headers in bucket.seen)
    assert read(ask(f"{scheme}://bucket/x.txt", bucket.url, objects=options)) == [
        (f"{scheme}://bucket/x.txt", "tres\n")
    ]
    with pytest.raises(RecipeError, match=r"objects.* is of .*; it changes nothing for"):
        read(ask(f"{scheme}://bucket/", bucket.url, objects={"region" if scheme != "s3" else "account": "abc"}))


def test_a_stream_that_breaks_goes_on_where_it_broke(ask: Ask, bucket: LocalBucket) -> None:
    bucket.files = {"a.txt": LONG.encode()}
    bucket.plans = {"a.txt": [cut_after(3_000_000), cut_after(500_000), stall_after(0)]}
    assert read(ask("s3://bucket/a.txt", bucket.url)) == [("s3://bucket/a.txt", LONG)]
    starts = [int((header or "bytes=0-")[6:].partition("-")[0]) for header in bucket.reads("a.txt")]
    assert len(starts) >= 3 and starts[0] == 0 and all(start >= 1_000_000 for start in starts[1:])


def test_a_server_that_never_goes_on(ask: Ask, bucket: LocalBucket) -> None:
    bucket.files = {"a.txt": LONG.encode()}
    bucket.plans = {"a.txt": [stall_after(10)] * 30}
    with pytest.raises(
        ResourceError, match="reading s3://bucket/a.txt failed: the server did not answer in time"
    ) as caught:
        read(ask("s3://bucket/a.txt", bucket.url, objects={"retries": 0}))
    assert caught.value.code == ErrorCode.TIMEOUT and caught.value.retryable


def test_reading_from_the_middle_asks_for_the_rest_only(ask: Ask, bucket: LocalBucket) -> None:
    bucket.files = {"a.txt": b"0123456789"}
    opened = open_bucket(ask("s3://bucket/a.txt", bucket.url))
    [meta], alone = opened.objects()
    assert alone
    with opened.source_object(meta, "a").open_at(6) as stream:
        assert stream.read() == b"6789"
    assert bucket.reads("a.txt") == ["bytes=6-"]


def test_an_archive_is_read_by_range(ask: Ask, bucket: LocalBucket) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("a.txt", "uno\n")
        archive.writestr("b/b.jsonl", '{"text": "dos"}')
    bucket.files = {"x.zip": packed.getvalue()}
    assert read(ask("s3://bucket/x.zip", bucket.url)) == [
        ("s3://bucket/x.zip!/a.txt", "uno\n"),
        ("s3://bucket/x.zip!/b/b.jsonl", "dos"),
    ]


def test_a_fingerprint_reads_no_object(ask: Ask, bucket: LocalBucket) -> None:
    bucket.files = {"d/a.txt": b"uno\n", "d/b.txt": b"dos\n"}
    request = ask("s3://bucket/d/", bucket.url)
    found = source_for(request.address).fingerprint(request)
    assert (found.texts, found.bytes) == (2, 8)
    assert [method for method, path, _ in bucket.seen if path.endswith(".txt")] == []


def test_an_object_that_changes_while_it_is_read(ask: Ask, bucket: LocalBucket) -> None:
    bucket.files = {"a.txt": b"uno\n"}
    bucket.plans = {"a.txt": [changed_to(b"dos\n", "a.txt")]}
    with pytest.raises(DataError, match="s3://bucket/a.txt changed while it was read") as caught:
        read(ask("s3://bucket/a.txt", bucket.url))
    assert caught.value.code == ErrorCode.DATA_CHANGED


def test_refused_access_and_other_regions(ask: Ask, bucket: LocalBucket) -> None:
    bucket.files = {"a.txt": b"uno\n"}
    bucket.plans = {"a.txt": [status(403, b"<Error><Code>AccessDenied</Code></Error>")]}
    with pytest.raises(ResourceError, match="a.txt cannot be read: access is refused .403 AccessDenied") as caught:
        read(ask("s3://bucket/a.txt", bucket.url))
    assert caught.value.code == ErrorCode.AUTH_FAILED and "AWS_ACCESS_KEY_ID" in caught.value.remedy
    bucket.plans = {"a.txt": [status(400, b"<Error><Code>AuthorizationHeaderMalformed</Code></Error>")]}
    with pytest.raises(RecipeError, match="a.txt lies in another region than the one that was asked"):
        read(ask("s3://bucket/a.txt", bucket.url))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Error performing GET http://169.254.169.254/latest - HTTP error", "no credentials were found in the environ"),
        ("x https://h/k?sig=SECRET in 2ms - Server returned non-2xx status code: 503 Slow", "the server answers 503"),
        ("x https://h/k?sig=SECRET - HTTP error: error sending request", "HTTP error: error sending request"),
        ("operation timed out https://h/k?sig=SECRET", "did not answer in time"),
    ],
)
def test_messages_never_hold_the_address_that_was_asked(text: str, message: str) -> None:
    error: LoquelaError = bucket_error(ValueError(text), "az://bucket/k", "az")
    assert message in error.message and error.remedy
    assert "SECRET" not in f"{error} {error.details}"


def test_a_private_endpoint_is_refused_unless_it_is_meant(ask: Ask, bucket: LocalBucket, monkeypatch) -> None:
    with pytest.raises(RecipeError, match="127.0.0.1 leads to 127.0.0.1, a loopback address"):
        source_for("s3://").check(ask("s3://bucket/a.txt", bucket.url, private=False))
    monkeypatch.setenv("AWS_ENDPOINT_URL", bucket.url)
    with pytest.raises(RecipeError, match="a loopback address"):
        source_for("s3://").check(ask("s3://bucket/a.txt", None, private=False))
    assert bucket.seen == []


def test_redirects_cannot_leave_https(ask: Ask) -> None:
    with pytest.raises(
        RecipeError, match="the endpoint http://93.184.215.14 is not encrypted; buckets of the"
    ) as caught:
        source_for("s3://").check(ask("s3://bucket/a.txt", "http://93.184.215.14", private=False))
    assert caught.value.code == ErrorCode.INVALID_SOURCE


def test_a_credential_of_the_store_goes_before_the_environment(ask: Ask, bucket: LocalBucket) -> None:
    bucket.files = {"a.txt": b"uno\n"}
    request = ask("s3://bucket/a.txt", bucket.url, credential="archive")
    pair = {"access_key_id": SecretStr("stored-key"), "secret_access_key": SecretStr("hidden")}

    def with_kind(kind: str, secrets: dict[str, SecretStr], host: str | None = None) -> SourceRequest:
        found = Credential.model_validate({"kind": kind, "secrets": secrets, "host": host})
        return SourceRequest(request.entry, request.section, request.downloads, find_credential=lambda name: found)

    assert read(with_kind("key_pair", pair)) == [("s3://bucket/a.txt", "uno\n")]
    assert all("Credential=stored-key/" in headers["authorization"] for _, _, headers in bucket.seen)
    with pytest.raises(RecipeError, match="the credential 'archive' is of kind bearer; s3:// needs key_pair"):
        read(with_kind("bearer", {"token": SecretStr("t")}))
    with pytest.raises(RecipeError, match="kept for other.example"):
        read(with_kind("key_pair", pair, "other.example"))


def test_an_address_without_a_bucket(ask: Ask) -> None:
    with pytest.raises(RecipeError, match="'s3:///key' names no bucket") as caught:
        source_for("s3://").check(ask("s3:///key", None))
    assert caught.value.remedy == "write it like s3://bucket/prefix/*.jsonl.gz"


@pytest.mark.parametrize(
    ("pattern", "fits", "others"),
    [
        ("a/*.txt", ["a/b.txt"], ["a/b/c.txt", "a/b.txt.gz"]),
        ("a/**/*.txt", ["a/b.txt", "a/b/c/d.txt"], ["b/a/c.txt"]),
        ("a/**", ["a/b", "a/b/c"], ["b"]),
        ("a/?[!x-z]", ["a/bc"], ["a/bx", "a/b", "a/b/"]),
        ("a/[b]c.t+t", ["a/bc.t+t"], ["a/bc.ttt"]),
    ],
)
def test_patterns_of_keys(pattern: str, fits: list[str], others: list[str]) -> None:
    assert all(_pattern(pattern).fullmatch(key) for key in fits)
    assert not any(_pattern(pattern).fullmatch(key) for key in others)
