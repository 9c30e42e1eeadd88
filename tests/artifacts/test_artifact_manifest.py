"""An artifact exists when its manifest does, and is what its manifest says."""

from pathlib import Path

import pytest

from loquela.artifacts.manifest import MANIFEST_NAME, read_manifest, verify, write_manifest
from loquela.core.errors import DataError, ErrorCode


@pytest.fixture
def artifact(tmp_path: Path) -> Path:
    (tmp_path / "part").mkdir()
    (tmp_path / "a.txt").write_text("alpha")
    (tmp_path / "part" / "b.bin").write_bytes(b"\x00\x01")
    write_manifest(tmp_path, "corpus", facts={"documents": 2}, parents={"source": "abc"})
    return tmp_path


def test_a_whole_artifact_verifies(artifact: Path) -> None:
    manifest = verify(artifact, "corpus")
    assert [record.path for record in manifest.files] == ["a.txt", "part/b.bin"]
    assert manifest.files[0].sha256 == "8ed3f6ad685b959ead7022518e1af76cd816f8e8ec7ccdda1ed4018e8f2223f8"
    assert manifest.parents == {"source": "abc"}


def test_the_digest_depends_on_content_not_on_time(artifact: Path) -> None:
    first = read_manifest(artifact).digest
    assert write_manifest(artifact, "corpus", facts={"documents": 2}).digest == first
    assert write_manifest(artifact, "corpus", facts={"documents": 3}).digest != first


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda d: (d / "a.txt").write_text("alphb"), "SHA-256 of a.txt is not the one"),
        (lambda d: (d / "a.txt").write_text("alph"), "a.txt has 4 bytes, the manifest says 5"),
        (lambda d: (d / "part" / "b.bin").unlink(), "part/b.bin is missing"),
        (lambda d: (d / MANIFEST_NAME).write_text("{"), "cannot be read as a manifest"),
    ],
)
def test_damage_is_named(artifact: Path, damage, words: str) -> None:
    damage(artifact)
    with pytest.raises(DataError, match=words) as caught:
        verify(artifact)
    assert caught.value.code is ErrorCode.CORRUPTION
    assert "delete that folder" in caught.value.remedy


def test_without_a_manifest_there_is_no_artifact(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no tokenizer in .*: it has no manifest.json") as caught:
        verify(tmp_path, "tokenizer")
    assert caught.value.code is ErrorCode.DATASET_NOT_FOUND


def test_another_kind_is_refused(artifact: Path) -> None:
    with pytest.raises(DataError, match="holds a corpus, not a tokenizer"):
        read_manifest(artifact, "tokenizer")
