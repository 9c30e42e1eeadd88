"""Only a file itself is opened."""

import os

import pytest

from loquela.core.plain_files import open_plain


def test_a_file_is_read(tmp_path):
    (tmp_path / "a").write_bytes(b"one")
    with open_plain(tmp_path / "a") as stream:
        assert stream.read() == b"one"


def test_links_pipes_folders_and_nothing_are_refused(tmp_path):
    (tmp_path / "a").write_bytes(b"one")
    (tmp_path / "link").symlink_to("a")
    os.mkfifo(tmp_path / "pipe")
    for name in ("link", "pipe"):
        with pytest.raises(OSError, match="symbolic links|it is no plain file"):
            open_plain(tmp_path / name)
    with pytest.raises(OSError, match="it is no plain file"):
        open_plain(tmp_path)
    with pytest.raises(FileNotFoundError):
        open_plain(tmp_path / "b")
