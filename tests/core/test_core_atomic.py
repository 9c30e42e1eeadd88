"""Files are whole or absent, and a failed write says why."""

import errno
import json
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from loquela.core.atomic import atomic_path, write_error, write_json, write_text
from loquela.core.errors import ErrorCode, ResourceError


def test_a_failure_while_writing_leaves_the_old_file_and_no_temporary(tmp_path: Path) -> None:
    target = tmp_path / "a.txt"
    write_text(target, "old")
    with pytest.raises(ValueError, match="half way"), atomic_path(target) as temporary:
        temporary.write_text("half")
        raise ValueError("half way")
    assert target.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]


def test_a_killed_writer_leaves_the_old_file(tmp_path: Path) -> None:
    target = tmp_path / "a.txt"
    write_text(target, "old")
    code = f"""
        import os, signal
        from pathlib import Path
        from loquela.core.atomic import atomic_path
        with atomic_path(Path({str(target)!r})) as temporary:
            temporary.write_text("half")
            os.kill(os.getpid(), signal.SIGKILL)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], check=False)
    assert done.returncode == -signal.SIGKILL
    assert target.read_text() == "old"


@pytest.mark.parametrize(
    ("number", "code", "words"),
    [
        (errno.ENOSPC, ErrorCode.DISK_FULL, "no space left"),
        (errno.EDQUOT, ErrorCode.DISK_FULL, "no space left"),
        (errno.EROFS, ErrorCode.WRITE_PERMISSION, "no permission to write"),
        (errno.EACCES, ErrorCode.WRITE_PERMISSION, "no permission to write"),
        (errno.EIO, ErrorCode.WRITE_FAILED, "failed"),
    ],
)
def test_the_reason_of_a_failed_write_is_named(number: int, code: ErrorCode, words: str) -> None:
    error = write_error(OSError(number, os.strerror(number)), Path("/x/y"))
    assert error.code is code
    assert words in error.message
    assert "/x/y" in error.message
    assert error.remedy


def test_nan_is_refused_in_json(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "a.json", {"loss": float("nan")})
    assert not (tmp_path / "a.json").exists()


def test_json_is_readable_utf8(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"palabra": "niño"})
    text = (tmp_path / "a.json").read_text(encoding="utf-8")
    assert "niño" in text
    assert json.loads(text) == {"palabra": "niño"}


def test_a_folder_in_place_of_a_file_is_a_typed_error(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "b").mkdir()
    with pytest.raises(ResourceError, match="writing .* failed"):
        write_text(tmp_path / "a", "text")
