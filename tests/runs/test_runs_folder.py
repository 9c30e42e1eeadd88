"""A run's own copy of its tokenizer, and its ledger: whole, mended when damaged."""

import json
from pathlib import Path

import pytest

from loquela.artifacts.manifest import write_manifest
from loquela.core.errors import ResourceError
from loquela.runs.folder import copy_artifact, read_ledger, write_ledger


@pytest.fixture
def artifact(tmp_path: Path) -> Path:
    directory = tmp_path / "artifact"
    (directory / "inner").mkdir(parents=True)
    (directory / "inner" / "a.json").write_text("{}")
    (directory / "b.txt").write_text("alpha")
    return directory


def test_copied_once_and_again_when_damaged(artifact: Path, tmp_path: Path) -> None:
    digest = write_manifest(artifact, "tokenizer").digest
    target = tmp_path / "run" / "tokenizer"
    copy_artifact(artifact, target, digest)
    first = (target / "b.txt").stat().st_ino
    copy_artifact(artifact, target, digest)
    assert (target / "b.txt").stat().st_ino == first
    (target / "b.txt").write_text("alphb")
    copy_artifact(artifact, target, digest)
    assert (target / "b.txt").read_text() == "alpha"
    assert (target / "inner" / "a.json").read_text() == "{}"
    assert [path.name for path in target.parent.iterdir()] == ["tokenizer"]


def test_a_place_that_cannot_be_written_is_typed(artifact: Path, tmp_path: Path) -> None:
    digest = write_manifest(artifact, "tokenizer").digest
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(ResourceError, match="writing .* failed"):
        copy_artifact(artifact, tmp_path / "file" / "tokenizer", digest)


def test_the_ledger_takes_the_artifacts_own_or_its_facts(artifact: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    manifest = write_manifest(artifact, "tokenizer", facts={"vocab_size": 300})
    write_ledger(run, "tokenizer", artifact, manifest)
    (artifact / "ledger.json").write_text(json.dumps({"arrows": []}))
    write_ledger(run, "ingest", artifact, manifest)
    assert read_ledger(run) == {"tokenizer": {"vocab_size": 300}, "ingest": {"arrows": []}}


@pytest.mark.parametrize("content", ["{", "[]", "\0\0"])
def test_a_damaged_ledger_is_written_anew(artifact: Path, tmp_path: Path, content: str) -> None:
    manifest = write_manifest(artifact, "tokenizer", facts={"vocab_size": 300})
    (tmp_path / "ledger.json").write_text(content)
    assert read_ledger(tmp_path) == {}
    write_ledger(tmp_path, "tokenizer", artifact, manifest)
    assert read_ledger(tmp_path) == {"tokenizer": {"vocab_size": 300}}
