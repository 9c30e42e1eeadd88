"""Folders are whole or absent, and are replaced without a moment of absence."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from loquela.artifacts import folders
from loquela.core.errors import ErrorCode, ResourceError


def fill(place: Path, text: str) -> None:
    with folders.whole_folder(place) as temporary:
        (temporary / "file.txt").write_text(text)


def test_a_folder_appears_whole_and_leaves_nothing_behind(tmp_path):
    fill(tmp_path / "best", "one")
    fill(tmp_path / "best", "two")
    assert (tmp_path / "best" / "file.txt").read_text() == "two"
    assert [path.name for path in tmp_path.iterdir()] == ["best"]


def test_a_failure_inside_leaves_the_old_one(tmp_path):
    fill(tmp_path / "best", "one")
    with pytest.raises(ZeroDivisionError), folders.whole_folder(tmp_path / "best") as temporary:
        (temporary / "file.txt").write_text("two")
        raise ZeroDivisionError
    assert (tmp_path / "best" / "file.txt").read_text() == "one"
    assert [path.name for path in tmp_path.iterdir()] == ["best"]


def test_two_renames_where_the_system_cannot_exchange(tmp_path, monkeypatch):
    monkeypatch.setattr(folders, "_exchange_at_once", lambda left, right: False)
    fill(tmp_path / "best", "one")
    fill(tmp_path / "best", "two")
    assert (tmp_path / "best" / "file.txt").read_text() == "two"
    assert [path.name for path in tmp_path.iterdir()] == ["best"]


CRASH = """
import sys
from pathlib import Path
from loquela.artifacts import folders
if sys.argv[2] == "two-renames":
    folders._exchange_at_once = lambda left, right: False
for text in ("one", "two"):
    with folders.whole_folder(Path(sys.argv[1])) as temporary:
        (temporary / "file.txt").write_text(text)
"""


@pytest.mark.parametrize(
    ("how", "point", "expected"),
    [
        ("exchange", "before_rename:2", "one"),
        ("exchange", "before_swap:1", "one"),
        ("exchange", "after_swap:1", "two"),
        ("exchange", "after_rename:2", "two"),
        ("two-renames", "during_swap:1", "one"),
    ],
)
def test_killed_while_replacing_a_valid_folder_is_always_there(tmp_path, how, point, expected):
    place = tmp_path / "best"
    environment = {**os.environ, "LOQUELA_CRASH_AT": point}
    done = subprocess.run([sys.executable, "-c", CRASH, str(place), how], env=environment, check=False)
    assert done.returncode == -signal.SIGKILL
    if how == "exchange":
        assert (place / "file.txt").read_text() == expected
    folders.heal_folder(place)
    folders.remove_leftovers(tmp_path)
    assert (place / "file.txt").read_text() == expected
    assert [path.name for path in tmp_path.iterdir()] == ["best"]


def test_healing_prefers_the_new_one(tmp_path):
    fill(tmp_path / "best", "new")
    fill(tmp_path / ".old-best", "old")
    folders.heal_folder(tmp_path / "best")
    assert (tmp_path / "best" / "file.txt").read_text() == "new"
    assert not (tmp_path / ".old-best").exists()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_no_permission_is_named(tmp_path):
    (tmp_path / "locked").mkdir(mode=0o500)
    with pytest.raises(ResourceError, match="no permission to write") as caught:
        fill(tmp_path / "locked" / "best", "one")
    assert caught.value.code is ErrorCode.WRITE_PERMISSION


def test_a_file_in_the_way_of_the_parent_is_a_typed_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ResourceError, match=r"writing .* failed"):
        fill(tmp_path / "file" / "best", "one")
