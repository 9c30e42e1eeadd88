"""Checkpoint folders: proven or quarantined, retired in order, versioned by what changed."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loquela.artifacts import checkpoints
from loquela.artifacts.folders import whole_folder
from loquela.artifacts.manifest import write_manifest
from loquela.artifacts.training_records import TrainingCheckpoint
from loquela.core.atomic import write_text
from loquela.core.errors import DataError, ErrorCode


def make(run: Path, step: int, **changes) -> Path:
    values = {"reason": "periodic", "seed": 1, "data_digest": "d", "vocab_size": 64, "training_config": {}, "epoch": 0}
    state = TrainingCheckpoint.model_validate({**values, "step": step, **changes})
    place = checkpoints.checkpoint_directory(run, step)
    with whole_folder(place) as temporary:
        (temporary / "model.safetensors").write_bytes(b"weights" * 100)
        write_text(temporary / "state.json", state.model_dump_json())
        write_manifest(temporary, checkpoints.KIND)
    return place


def names(run: Path) -> list[str]:
    return [path.name for path in checkpoints.list_checkpoints(run)]


def test_newest_first_and_other_folders_ignored(tmp_path):
    for step in (9, 10, 100_000_000):
        make(tmp_path, step)
    (tmp_path / "checkpoints" / ".tmp-00000011-1").mkdir()
    assert names(tmp_path) == ["100000000", "00000010", "00000009"]
    assert checkpoints.list_checkpoints(tmp_path / "nowhere") == []


@pytest.mark.parametrize("harm", ["flip", "truncate", "no manifest", "no file", "manifest text"])
def test_a_damaged_newest_one_is_quarantined_and_told(tmp_path, harm):
    make(tmp_path, 1)
    newest = make(tmp_path, 2)
    weights = newest / "model.safetensors"
    if harm == "flip":
        weights.write_bytes(b"x" + weights.read_bytes()[1:])
    elif harm == "truncate":
        weights.write_bytes(weights.read_bytes()[:-1])
    elif harm == "no manifest":
        (newest / "manifest.json").unlink()
    elif harm == "no file":
        weights.unlink()
    else:
        (newest / "manifest.json").write_text("{")
    told = []
    found = checkpoints.newest_valid(tmp_path, lambda place, why: told.append((place, why)))
    assert found is not None
    assert found.state.step == 1
    assert [place.name for place, _ in told] == ["00000002.1"]
    assert told[0][0].is_dir()
    assert "00000002" in told[0][1]
    assert names(tmp_path) == ["00000001"]


def test_none_is_left_when_all_are_damaged(tmp_path):
    for step in (1, 2):
        (make(tmp_path, step) / "state.json").write_text("{}")
    assert checkpoints.newest_valid(tmp_path, lambda place, why: None) is None
    assert len(list((tmp_path / "checkpoints" / "quarantine").iterdir())) == 2


def test_a_state_that_is_no_state_is_named(tmp_path):
    place = tmp_path / "00000001"
    place.mkdir()
    with pytest.raises(DataError, match=r"state\.json cannot be read") as caught:
        checkpoints.read_state(place)
    assert caught.value.code is ErrorCode.CORRUPTION


def test_retention_keeps_the_newest_and_one_to_roll_back_to(tmp_path):
    for step in (0, 40, 80, 120, 160, 200):
        make(tmp_path, step)
    checkpoints.retire(tmp_path, keep=2, rollback_steps=100)
    assert names(tmp_path) == ["00000200", "00000160", "00000080"]
    found = checkpoints.newest_up_to(tmp_path, 159)
    assert found is not None
    assert found.state.step == 80
    assert checkpoints.newest_up_to(tmp_path, 79) is None


def test_the_first_checkpoint_stays_while_none_is_old_enough(tmp_path):
    for step in (0, 10, 20, 30):
        make(tmp_path, step)
    checkpoints.retire(tmp_path, keep=1, rollback_steps=100)
    assert names(tmp_path) == ["00000030", "00000000"]


def test_a_checkpoint_of_an_interruption_changes_neither_retention_nor_roll_back(tmp_path):
    make(tmp_path, 1)
    make(tmp_path, 2)
    make(tmp_path, 3, reason="stop")
    checkpoints.retire(tmp_path, keep=2, rollback_steps=1)
    assert names(tmp_path) == ["00000003", "00000002", "00000001"]
    found = checkpoints.newest_up_to(tmp_path, 3)
    assert found is not None
    assert found.state.step == 2
    make(tmp_path, 4)
    checkpoints.retire(tmp_path, keep=2, rollback_steps=1)
    assert names(tmp_path) == ["00000004", "00000002"]


def test_a_roll_back_removes_the_branch_it_left(tmp_path):
    for step in (1, 2, 3):
        make(tmp_path, step)
    checkpoints.remove_newer(tmp_path, 1)
    assert names(tmp_path) == ["00000001"]


@pytest.mark.parametrize(
    ("previous", "changed", "expected"),
    [
        (None, (False, False, False), "1.0.0"),
        ("1.4.2", (True, True, True), "2.0.0"),
        ("1.4.2", (False, True, True), "1.5.0"),
        ("1.4.2", (False, False, True), "1.4.3"),
        ("1.4.2", (False, False, False), "1.4.2"),
    ],
)
def test_versions(previous, changed, expected):
    vocabulary, architecture, settings_changed = changed
    version = checkpoints.next_version(
        previous, vocabulary=vocabulary, architecture=architecture, settings=settings_changed
    )
    assert version == expected


def test_differing_names_the_dotted_keys():
    old = {"model": {"d_model": 16, "bias": True}, "seed": 1}
    new = {"model": {"d_model": 32, "bias": True}, "seed": 1, "extra": None}
    assert checkpoints.differing(old, new) == {"model.d_model": ("16", "32")}


@settings(max_examples=30, deadline=None)
@given(st.lists(st.sampled_from(["periodic", "stop"]), min_size=1, max_size=8), st.integers(1, 4), st.integers(0, 6))
def test_retention_never_loses_the_newest_nor_the_way_back(tmp_path_factory, reasons, keep, rollback_steps):
    """Whatever was interrupted: the newest stays, and so does one from before any incident inside the window."""
    run = tmp_path_factory.mktemp("run")
    for step, reason in enumerate(["periodic", *reasons]):
        make(run, step, reason=reason)
        checkpoints.retire(run, keep, rollback_steps)
        assert int(names(run)[0]) == step
        assert len(names(run)) <= keep + 2
        assert checkpoints.newest_up_to(run, max(0, step - rollback_steps)) is not None
