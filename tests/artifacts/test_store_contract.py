"""What every store of tarballs can do: a folder, and a bucket of a real S3 server."""

import hashlib
import os
import subprocess
import threading

import pytest

from loquela.artifacts.store.contract import prove
from loquela.artifacts.store.opening import open_store
from loquela.core.errors import DataError, ErrorCode, RecipeError, ResourceError
from s3_server import KEYS, S3Server

DATA = b"0123456789" * 1000
DIGEST = hashlib.sha256(DATA).hexdigest()


@pytest.fixture(scope="module")
def server():
    made = S3Server()
    yield made
    made.stop()


@pytest.fixture(params=["folder", "bucket"])
def store(request, tmp_path):
    if request.param == "folder":
        return open_store(None, tmp_path / "store")
    server = request.getfixturevalue("server")
    server.empty()
    return open_store("s3://shelf/all/of_them", tmp_path, endpoint=server.url, keys=KEYS)


def read(store, **between):
    return b"".join(store.read(DIGEST, **between))


def test_what_is_put_is_given_back_whole_and_in_parts(store):
    store.put(DIGEST, 10_000, iter([DATA[:5], DATA[5:]]))
    assert store.size(DIGEST) == 10_000
    assert read(store) == DATA
    assert read(store, start=9_998) == b"89"
    assert read(store, start=3, end=7) == b"3456"
    assert read(store, start=7, end=7) == b""
    prove(store, DIGEST, 10_000)
    assert [(blob.sha256, blob.size_bytes) for blob in store.blobs()] == [(DIGEST, 10_000)]
    assert all(blob.at > 1_700_000_000 for blob in store.blobs())


def test_putting_it_again_and_at_once_is_the_same(store):
    threads = [threading.Thread(target=store.put, args=(DIGEST, 10_000, iter([DATA]))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert read(store) == DATA
    assert len(list(store.blobs())) == 1


def test_what_breaks_off_is_not_there(store):
    def broken():
        yield DATA
        raise DataError(ErrorCode.DATA_CHANGED, "in the middle", "nothing")

    with pytest.raises(DataError, match="in the middle"):
        store.put(DIGEST, 10_000, broken())
    assert store.size(DIGEST) is None
    assert list(store.blobs()) == []


def test_everybody_who_signed_is_named_and_nobody_is_a_tarball(store):
    assert store.users() == set()
    for user in ("this-one", "another", "this-one"):
        store.sign(user)
    assert store.users() == {"this-one", "another"}
    assert list(store.blobs()) == []


def test_what_is_not_there_is_said(store):
    assert store.size(DIGEST) is None
    with pytest.raises(DataError, match=f"has no tarball {DIGEST[:12]}"):
        read(store)
    with pytest.raises(DataError, match=f"has no tarball {DIGEST[:12]}"):
        prove(store, DIGEST, 1)
    store.put(DIGEST, 10_000, iter([DATA]))
    store.remove(DIGEST)
    store.remove(DIGEST)
    assert store.size(DIGEST) is None


def test_what_came_back_otherwise_is_not_proven(store):
    store.put(DIGEST, 10_000, iter([DATA[:-1] + b"x"]))
    with pytest.raises(DataError, match=f"gives back 10000 bytes of digest .* for {DIGEST[:12]} of 10000 bytes"):
        prove(store, DIGEST, 10_000)
    store.put(DIGEST, 10_000, iter([DATA]))
    with pytest.raises(DataError, match="gives back 10000 bytes"):
        prove(store, DIGEST, 9_999)


def test_a_large_one_goes_in_parts(store):
    pieces = [bytes([n]) * 2**20 for n in range(37)]
    digest = hashlib.sha256(b"".join(pieces)).hexdigest()
    store.put(digest, 37 * 2**20, iter(pieces))
    prove(store, digest, 37 * 2**20)
    assert store.size(digest) == 37 * 2**20
    assert b"".join(store.read(digest, start=5 * 2**20 - 1, end=6 * 2**20 + 1)) == b"\4" + pieces[5] + b"\6"


def test_a_bucket_that_is_gone_is_said_and_used_again_when_it_is_back(tmp_path):
    server = S3Server()
    store = open_store("s3://shelf", tmp_path, endpoint=server.url, keys=KEYS)
    store.put(DIGEST, 10_000, iter([DATA]))
    server.stop()
    for use in (lambda: store.size(DIGEST), lambda: read(store), lambda: store.put(DIGEST, 10_000, iter([DATA]))):
        with pytest.raises(ResourceError, match="s3://shelf cannot be used: it does not answer") as caught:
            use()
        assert caught.value.retryable
    server.start()
    store.put(DIGEST, 10_000, iter([DATA]))
    assert read(store) == DATA
    server.stop()


def test_a_bucket_that_refuses_is_said_without_its_keys(server, tmp_path):
    missing = open_store("s3://no-such-shelf/a", tmp_path, endpoint=server.url, keys=KEYS)
    with pytest.raises(ResourceError, match="s3://no-such-shelf/a cannot be used: it answers 404 NoSuchBucket"):
        list(missing.blobs())
    with server.refusing(), pytest.raises(ResourceError, match=r"s3://shelf refuses access \(403") as caught:
        open_store("s3://shelf", tmp_path, endpoint=server.url, keys=KEYS).size(DIGEST)
    assert caught.value.code is ErrorCode.AUTH_FAILED and "unguessable" not in str(caught.value)


def test_the_usual_variables_say_where_and_who(server, tmp_path, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEYS["access_key_id"])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", KEYS["secret_access_key"])
    store = open_store("s3://shelf/variables", tmp_path)
    store.put(DIGEST, 10_000, iter([DATA]))
    assert store.address == "s3://shelf/variables" and read(store) == DATA


@pytest.mark.parametrize("address", ["gs://bucket", "artifacts", "s3://", "s3://Bucket", "s3://b/../c?x", "file:///a"])
def test_another_address_is_refused(address, tmp_path):
    with pytest.raises(RecipeError, match="is no place for artifacts"):
        open_store(address, tmp_path)


def test_a_folder_that_cannot_be_used_is_said(tmp_path):
    (tmp_path / "sha256").write_bytes(b"a file")
    store = open_store(str(tmp_path), tmp_path)
    assert store.size(DIGEST) is None
    with pytest.raises(ResourceError, match="the store of artifacts in .* cannot be used"):
        read(store)
    with pytest.raises(ResourceError, match="the store of artifacts in .* cannot be used"):
        store.remove(DIGEST)


def test_a_disk_that_would_be_full_is_left_as_it_is(tmp_path, monkeypatch):
    store = open_store(None, tmp_path / "store")
    monkeypatch.setattr("shutil.disk_usage", lambda path: type("Usage", (), {"free": 2**26 + 9_999}))
    with pytest.raises(ResourceError, match="of 10000 would leave too little for runs") as caught:
        store.put(DIGEST, 10_000, iter([DATA]))
    assert caught.value.code is ErrorCode.DISK_FULL and store.size(DIGEST) is None


def test_a_disk_that_is_full_while_it_is_written_leaves_nothing(tmp_path, monkeypatch):
    disk = tmp_path / "disk"
    disk.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=100k", "tmpfs", str(disk)]
    if subprocess.run(command, check=False, capture_output=True).returncode != 0:
        pytest.skip("mounting a small tmpfs needs rights")
    try:
        store = open_store(str(disk), tmp_path)
        monkeypatch.setattr("loquela.artifacts.store.folder_store.LEFT_FREE_BYTES", -(2**30))
        with pytest.raises(ResourceError, match="no space left") as caught:
            store.put(DIGEST, 200_000, iter([bytes(1000)] * 200))
        assert caught.value.code is ErrorCode.DISK_FULL
        assert [path for path in disk.rglob("*") if path.is_file()] == []
        store.put(DIGEST, 10_000, iter([DATA]))
        assert read(store) == DATA
    finally:
        subprocess.run(["umount", str(disk)], check=False)


def test_what_a_dead_writer_left_goes(tmp_path):
    store = open_store(None, tmp_path)
    store.put(DIGEST, 10_000, iter([DATA]))
    left = tmp_path / "sha256" / DIGEST[:2] / ".tmp-abc-one"
    left.write_bytes(b"half")
    assert len(list(store.blobs())) == 1 and left.exists()
    os.utime(left, (1, 1))
    assert len(list(store.blobs())) == 1 and not left.exists()
