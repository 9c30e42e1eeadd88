"""Trees become the same bytes wherever they lie, and come out as they went in; what means harm leaves nothing."""

import hashlib
import io
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hostile_tars import hostile, member, raw, tarball
from loquela.artifacts.crash_points import VARIABLE
from loquela.artifacts.store.packing import measured, pieces_of, proven, tree_of
from loquela.artifacts.store.unpacking import UnpackLimits, unpack
from loquela.core.errors import DataError, LoquelaError, ResourceError


def plant(root: Path, **files: bytes) -> Path:
    for name, content in files.items():
        path = root / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return root


def packed(root: Path) -> bytes:
    return b"".join(pieces_of(tree_of(root)))


def take(data: bytes, target: Path, *, size: int | None = None, members: int = 1000) -> None:
    limits = UnpackLimits(len(data) if size is None else size, members)
    pieces = (data[at : at + 700] for at in range(0, len(data), 700))
    unpack(pieces, target, sha256=hashlib.sha256(data).hexdigest(), limits=limits)


def everything(root: Path) -> dict[str, bytes | None]:
    return {
        path.relative_to(root).as_posix(): path.read_bytes() if path.is_file() else None for path in root.rglob("*")
    }


LONG = "d" * 90 + "/" + "é" * 60


@pytest.fixture
def tree(tmp_path):
    root = plant(tmp_path / "a", model=b"w" * 3000, logs__system=b"said", logs__empty=b"")
    plant(root, **{LONG: b"far"})
    (root / "nothing").mkdir()
    return root


def test_a_tree_comes_out_as_it_went_in(tree, tmp_path):
    take(packed(tree), tmp_path / "out")
    assert everything(tmp_path / "out") == everything(tree)
    assert (tmp_path / "out" / "model").stat().st_mode & 0o7777 == 0o644


def test_the_same_tree_is_the_same_bytes_whenever_and_by_whomever(tree, tmp_path):
    twin = plant(tmp_path / "elsewhere" / "b", **{LONG: b"far"})
    (twin / "nothing").mkdir()
    plant(twin, logs__empty=b"", logs__system=b"said", model=b"w" * 3000)
    os.utime(twin / "model", (5, 5))
    (twin / "model").chmod(0o600)
    assert packed(twin) == packed(tree)
    # A golden value: the bytes may not change with a version of anything either.
    small = packed(plant(tmp_path / "c", a__b=b"x"))
    assert hashlib.sha256(small).hexdigest() == "7d77f9dc15eaf06dd20383f8d92d48614f58e4a4753a43e9663a9670f816a416"


def test_other_programs_read_it(tree):
    with tarfile.open(fileobj=io.BytesIO(packed(tree))) as found:
        names = {each.name: each for each in found}
        assert names[LONG].size == 3 and names["nothing"].isdir()
        assert {each.mtime for each in found} == {0} and {each.uid for each in found} == {0}


def test_its_size_is_known_before_it_is_read(tree):
    assert tree_of(tree).size_bytes == len(packed(tree)) == measured(tree_of(tree)).size_bytes
    assert measured(tree_of(tree)).sha256 == hashlib.sha256(packed(tree)).hexdigest()


def test_a_folder_that_cannot_be_looked_into_is_said(tree, monkeypatch):
    def refuse(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(DataError, match="cannot be looked into: Permission denied"):
        tree_of(tree)


def test_links_and_devices_are_left_out_and_named(tree):
    (tree / "latest").symlink_to("logs")
    os.mkfifo(tree / "pipe")
    found = tree_of(tree, lambda name: name == "logs")
    assert sorted(found.left_out) == ["latest", "pipe"]
    assert not any(each.name.startswith("logs") for each in found.members)


@pytest.mark.parametrize("names", [("Model", "model"), ("a\\b",), ("new\nline",)])
def test_what_could_not_be_unpacked_is_not_packed(tmp_path, names):
    plant(tmp_path / "a", **dict.fromkeys(names, b"x"))
    with pytest.raises(DataError, match="the tarball's member .* is refused"):
        tree_of(tmp_path / "a")


def test_a_folder_that_is_gone_is_said(tmp_path):
    with pytest.raises(DataError, match="there is no folder .* to be packed"):
        tree_of(tmp_path / "gone")


@pytest.mark.parametrize("change", ["shorter", "longer", "gone"])
def test_a_file_that_changes_while_it_is_packed_is_noticed(tree, change):
    seen = tree_of(tree)
    if change == "gone":
        (tree / "model").unlink()
    else:
        (tree / "model").write_bytes(b"w" * (2999 if change == "shorter" else 3001))
    with pytest.raises(DataError, match="model changed while it was packed"):
        list(pieces_of(seen))


def test_a_file_that_cannot_be_read_is_said(tree):
    seen = tree_of(tree)
    (tree / "model").unlink()
    (tree / "model").symlink_to("nothing")
    with pytest.raises(DataError, match="model cannot be read"):
        list(pieces_of(seen))


def test_the_last_piece_comes_only_when_the_digest_is_right():
    right = hashlib.sha256(b"onetwo").hexdigest()
    assert list(proven(iter([b"one", b"two"]), right)) == [b"one", b"two"]
    taken = []
    with pytest.raises(DataError, match="has another digest than"):
        taken.extend(proven(iter([b"one", b"too"]), right))
    assert taken == [b"one"]


@pytest.mark.parametrize("what, data, said", [pytest.param(*each, id=each[0]) for each in hostile()])
def test_what_means_harm_leaves_nothing(what, data, said, tmp_path):
    room = tmp_path / "room"
    room.mkdir()
    with pytest.raises(DataError, match=said):
        take(data, room / "target")
    assert list(tmp_path.rglob("*")) == [room]


def test_more_than_the_limits_is_refused(tmp_path):
    data = tarball(*(member(f"f{n}", b"") for n in range(50)))
    with pytest.raises(DataError, match="there are more than 49 members"):
        take(data, tmp_path / "a", members=49)
    with pytest.raises(DataError, match="it has more than the 4000 bytes that it may have"):
        take(raw(("a", bytes(4000))), tmp_path / "a", size=4000)
    assert list(tmp_path.iterdir()) == []


def test_another_digest_is_refused_and_what_stood_there_stays(tree, tmp_path):
    target = plant(tmp_path / "out", old=b"old")
    with pytest.raises(DataError, match="the tarball cannot be taken: its SHA-256 begins"):
        unpack([packed(tree)], target, sha256="0" * 64, limits=UnpackLimits(10**6))
    assert everything(target) == {"old": b"old"} and not list(tmp_path.glob(".tmp-*"))
    take(packed(tree), target)
    assert everything(target) == everything(tree)


def test_no_room_is_said_before_anything_is_written(tree, tmp_path):
    with pytest.raises(ResourceError, match="bytes free; unpacking takes"):
        take(packed(tree), tmp_path / "out", size=2**62)


NAMES = st.sampled_from(["a", "b", "A", "..", ".", "", "a/b", "/etc", "é", "e\u0301", "a" * 101, "\\", "\x01"])
KINDS = st.sampled_from([tarfile.REGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE])
MEMBERS = st.lists(st.tuples(NAMES, KINDS, st.binary(max_size=600), st.sampled_from([0o644, 0o4644])), max_size=6)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(MEMBERS, st.lists(st.tuples(st.integers(0, 4000), st.integers(0, 255)), max_size=3), st.integers(0, 5000))
def test_whatever_comes_it_is_taken_whole_or_not_at_all(tmp_path, members, flips, cut):
    made = []
    for name, kind, content, mode in members:
        data = content if kind == tarfile.REGTYPE else b""
        made.append(member(name, data, type=kind, mode=mode, linkname="a" if kind not in b"05" else ""))
    data = bytearray(tarball(*made))
    for at, value in flips:
        data[at % len(data)] = value
    data = bytes(data[: len(data) - cut % len(data)] if cut > 4000 else data)
    room = tmp_path / os.urandom(8).hex()
    room.mkdir()
    before = set(tmp_path.iterdir())
    try:
        take(data, room / "target")
    except DataError:
        assert list(room.iterdir()) == []
    else:
        assert list(room.iterdir()) == [room / "target"]
        for path in (room / "target").rglob("*"):
            assert not path.is_symlink() and (path.is_file() or path.is_dir())
            assert path.stat().st_mode & 0o7000 == 0
        assert sum(path.stat().st_size for path in room.rglob("*") if path.is_file()) <= len(data)
    assert set(tmp_path.iterdir()) == before


UNPACK = """
import hashlib, sys
from pathlib import Path
from loquela.artifacts.store.unpacking import UnpackLimits, unpack
data = Path(sys.argv[1]).read_bytes()
unpack([data], Path(sys.argv[2]), sha256=hashlib.sha256(data).hexdigest(), limits=UnpackLimits(len(data)))
"""


def run(script: str, *arguments: Path, **environment: str) -> int:
    command = [sys.executable, "-c", script, *map(str, arguments)]
    return subprocess.run(command, check=False, env={**os.environ, **environment}, capture_output=True).returncode


@pytest.mark.parametrize("point", ["unpacking:2", "unpacked", "before_rename"])
def test_killed_while_it_is_unpacked_nothing_stands_there_and_the_next_try_is_whole(tree, tmp_path, point):
    tar = tmp_path / "one.tar"
    tar.write_bytes(packed(tree))
    target = tmp_path / "room" / "out"
    assert run(UNPACK, tar, target, **{VARIABLE: point}) == -9
    assert not target.exists()
    assert run(UNPACK, tar, target) == 0
    assert everything(target) == everything(tree)


FULL = (
    "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))\n"
    + UNPACK.replace("unpack([data]", "try:\n  unpack([data]")
    + "except Exception as error: print(type(error).__name__, error.code); sys.exit(3)"
)


def test_a_file_that_may_not_grow_is_an_error_of_ours_and_leaves_nothing(tree, tmp_path):
    tar = tmp_path / "one.tar"
    tar.write_bytes(packed(tree))
    assert run(FULL, tar, tmp_path / "room" / "out") == 3
    assert list((tmp_path / "room").iterdir()) == []


def test_a_target_that_cannot_be_is_an_error_of_ours(tree):
    with pytest.raises(LoquelaError, match="writing .* failed"):
        take(packed(tree), tree / "model" / "out")
