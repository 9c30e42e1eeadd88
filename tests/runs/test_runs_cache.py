"""Artifacts are found by what they were made from; damaged ones are set aside and made anew."""

import subprocess
import sys
from pathlib import Path

import pytest

from loquela.artifacts.context import StageResult
from loquela.core.errors import ErrorCode, ResourceError
from loquela.monitoring.events import Event, EventBus
from loquela.recipe.schema import Recipe
from loquela.runs.cache import ArtifactCache, stage_key, stage_settings
from loquela.stages import stage_named


@pytest.fixture
def seen() -> list[Event]:
    return []


@pytest.fixture
def cache(tmp_path: Path, seen: list[Event]) -> ArtifactCache:
    bus = EventBus()
    bus.subscribe(seen.append)
    return ArtifactCache(tmp_path / "out put", bus)


def fill(text: str):
    def make(output: Path) -> StageResult:
        (output / "a.txt").write_text(text)
        return StageResult(facts={"bytes": len(text)}, summary="made")

    return make


def test_built_once_then_found(cache: ArtifactCache) -> None:
    assert cache.find("corpus", "k") is None
    manifest, result = cache.build("corpus", "k", fill("alpha"), settings={"a": 1}, parents={})
    assert result.summary == "made"
    found = cache.find("corpus", "k")
    assert found is not None
    assert found.digest == manifest.digest
    assert found.facts == {"bytes": 5}


def test_a_damaged_artifact_is_set_aside_and_said(cache: ArtifactCache, seen: list[Event]) -> None:
    cache.build("corpus", "k", fill("alpha"), settings={}, parents={})
    (cache.directory("corpus", "k") / "a.txt").write_text("alphb")
    assert cache.find("corpus", "k") is None
    assert [event.name for event in seen] == ["artifact.damaged.v1"]
    assert (cache.directory("corpus", "damaged-k") / "a.txt").read_text() == "alphb"


def test_a_failed_stage_leaves_nothing(cache: ArtifactCache) -> None:
    def fail(output: Path) -> StageResult:
        (output / "half").write_text("x")
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        cache.build("corpus", "k", fail, settings={}, parents={})
    assert list((cache.root / "corpus").iterdir()) == []


def test_an_unwritable_place_is_typed(tmp_path: Path) -> None:
    (tmp_path / "artifacts").write_text("a file where a folder should be")
    cache = ArtifactCache(tmp_path, EventBus())
    with pytest.raises(ResourceError, match="writing .* failed") as caught:
        cache.build("corpus", "k", fill("x"), settings={}, parents={})
    assert caught.value.code is ErrorCode.WRITE_FAILED


def test_the_key_follows_settings_inputs_and_outside(tmp_path: Path) -> None:
    stage = stage_named("tokenizer")
    recipe = Recipe()
    settings = stage_settings(recipe, stage)
    key = stage_key(stage, settings, {"corpus": "c1"}, {})
    assert key == stage_key(stage, stage_settings(Recipe(), stage), {"corpus": "c1"}, {})
    assert key != stage_key(stage, settings, {"corpus": "c2"}, {})
    assert key != stage_key(stage, settings, {"corpus": "c1"}, {"etag": "x"})
    recipe.tokenizer.vocab_size = 4000
    assert key != stage_key(stage, stage_settings(recipe, stage), {"corpus": "c1"}, {})
    recipe.train.epochs = 3
    assert "train" not in str(stage_settings(recipe, stage))


def test_a_tokenizer_file_counts_by_its_content(tmp_path: Path) -> None:
    path = tmp_path / "t.model"
    path.write_bytes(b"one")
    recipe = Recipe.model_validate({"tokenizer": {"model_file": str(path)}})
    first = stage_settings(recipe, stage_named("tokenizer"))
    path.write_bytes(b"two")
    assert stage_settings(recipe, stage_named("tokenizer")) != first


BUILD_AND_DIE = """
import os, signal, sys
import subprocess
import sys
from pathlib import Path
from loquela.monitoring.events import EventBus
from loquela.runs.cache import ArtifactCache

def make(output):
    (output / "half").write_text("x")
    print(output, flush=True)
    if sys.argv[2] == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    sys.stdin.readline()
    raise ValueError

ArtifactCache(Path(sys.argv[1]), EventBus()).build("corpus", "other", make, settings={}, parents={})
"""


def test_what_a_dead_process_left_goes_what_a_living_one_writes_stays(cache: ArtifactCache) -> None:
    place = str(cache.root.parent)
    dead = subprocess.run([sys.executable, "-c", BUILD_AND_DIE, place, "die"], stdout=subprocess.PIPE, text=True)
    left = Path(dead.stdout.strip())
    assert (left / "half").is_file()
    with subprocess.Popen(
        [sys.executable, "-c", BUILD_AND_DIE, place, "wait"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as living:
        assert living.stdout is not None
        working = Path(living.stdout.readline().strip())
        assert not left.exists()
        cache.build("corpus", "k", fill("alpha"), settings={}, parents={})
        assert (working / "half").is_file()
        living.communicate("go\n")
    assert sorted(path.name for path in (cache.root / "corpus").iterdir()) == ["k"]


def test_of_two_that_made_the_same_the_first_stays(cache: ArtifactCache) -> None:
    def while_another_makes_it(output: Path) -> StageResult:
        cache.build("corpus", "k", fill("alpha"), settings={}, parents={})
        return fill("alpha")(output)

    manifest, _ = cache.build("corpus", "k", while_another_makes_it, settings={}, parents={})
    found = cache.find("corpus", "k")
    assert found is not None
    assert found.digest == manifest.digest
    assert [path.name for path in (cache.root / "corpus").iterdir()] == ["k"]
