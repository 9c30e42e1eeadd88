"""Results of a rented machine that means harm: files alone come home, and only below their folder."""

import os
from pathlib import Path

import pytest

from hostile_tars import folder, link, member, tarball
from loquela.compute.cloud.done import Done, ResultFile
from loquela.compute.cloud.submit import fetch
from loquela.core.digests import digest_file
from loquela.core.errors import DataError


@pytest.fixture
def fetched(tmp_path, monkeypatch):
    """Fetches a tarball that the machine sends; of its files, `model.bin` was announced."""
    sent, announced = tmp_path / "sent.tar", tmp_path / "model.bin"
    announced.write_bytes(b"weights")
    (tmp_path / "ssh").write_text(f"#!/bin/sh\ncat {sent}\n")
    (tmp_path / "ssh").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    files = {"model.bin": ResultFile(size=7, sha256=digest_file(announced))}
    done = Done(outcome="completed", exit_code=0, message="", seconds=1, cost_usd=0, files=files)

    def fetch_these(data: bytes) -> Path:
        sent.write_bytes(data)
        return fetch("cluster", done, tmp_path / "home" / "results")

    return fetch_these


def test_files_come_home_and_links_do_not(fetched, tmp_path):
    home = fetched(tarball(folder("./"), member("./model.bin", b"weights"), link("./latest", "/etc")))
    assert [path.name for path in home.iterdir()] == ["model.bin"]


@pytest.mark.parametrize("name", ["../outside", "a/../../outside", "/outside"])
def test_a_name_that_leads_elsewhere_ends_it(name, fetched, tmp_path):
    with pytest.raises(DataError, match="which leads elsewhere"):
        fetched(tarball(member("model.bin", b"weights"), member(name)))
    assert not list(tmp_path.rglob("outside"))


def test_a_link_and_a_file_through_it_stay_inside(fetched, tmp_path):
    with pytest.raises(DataError, match="a/outside was not sent"):
        fetched(tarball(member("model.bin", b"weights"), link("a", ".."), member("a/outside")))
    assert [path.relative_to(tmp_path / "home").as_posix() for path in tmp_path.rglob("outside")] == [
        "results/a/outside"
    ]
