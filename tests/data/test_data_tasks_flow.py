"""Ingest and prepare as tasks: one process, two, a cluster, or two of which one is killed give the same bytes."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path

import pytest

from loquela.artifacts.context import StageContext, StopRequest
from loquela.artifacts.manifest import write_manifest
from loquela.core.errors import Interrupted
from loquela.data import stage
from loquela.data.corpus import parts
from loquela.data.shards import prepare
from loquela.monitoring.events import Event, EventBus, SilentBus
from loquela.recipe.schema import Recipe
from waiting import until

WORDS = "molino agua luna camino piedra harina casa puerta river stone light garden".split()


def write_texts(folder: Path) -> None:
    folder.mkdir()
    for number in range(6):
        lines = [
            " ".join(WORDS[(number * 5 + line * 3 + word * word) % len(WORDS)] + str(word * line) for word in range(12))
            for line in range(120)
        ]
        (folder / f"{number}.txt").write_text("\n\n".join(lines))


def prepared(home: Path, texts: Path, stop: StopRequest | None = None, **compute: object) -> list[str]:
    """Digests of the corpus and of the shards made from `texts`."""
    recipe = Recipe.model_validate(
        {
            "output_directory": home / "out",
            "data": {"sources": [str(texts)], "document_bytes": 256, "validation_fraction": 0.1},
            "tokenizer": {"method": "bpe", "vocab_size": 300},
            "model": {"max_sequence_length": 16},
            "compute": compute,
        }
    )
    inputs: dict[str, Path] = {}
    digests = []
    for name, kind in (("ingest", "corpus"), ("train_tokenizer", "tokenizer"), ("prepare", "shards")):
        output = home / kind
        output.mkdir(parents=True)
        result = getattr(stage, name)(
            StageContext(recipe, SilentBus(), dict(inputs), output, home, stop or StopRequest())
        )
        digests.append(write_manifest(output, kind, facts=result.facts).digest)
        inputs[kind] = output
    assert [path.name for path in (home / "out" / "tasks").iterdir() if path.is_dir()] == []
    return digests


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Several parts of a corpus and of its tokens, in every process."""
    monkeypatch.setattr(parts, "PART_BYTES", 20_000)
    monkeypatch.setattr(prepare, "PART_BYTES", 40_000)


@pytest.mark.usefixtures("small_parts")
def test_one_and_two_processes_make_the_same_bytes(tmp_path: Path) -> None:
    write_texts(tmp_path / "texts")
    alone = prepared(tmp_path / "alone", tmp_path / "texts", data_workers=1)
    assert prepared(tmp_path / "two", tmp_path / "texts", data_workers=2) == alone
    assert prepared(tmp_path / "library", tmp_path / "texts", data_workers=1, tokenizer_engine="library") == alone


@pytest.mark.usefixtures("small_parts")
def test_a_killed_process_costs_nothing_but_time(tmp_path: Path) -> None:
    write_texts(tmp_path / "texts")
    alone = prepared(tmp_path / "alone", tmp_path / "texts", data_workers=1)
    killed = threading.Thread(target=kill_one_worker, args=(tmp_path / "two" / "out" / "tasks",))
    killed.start()
    assert prepared(tmp_path / "two", tmp_path / "texts", data_workers=2) == alone
    killed.join()


def kill_one_worker(tasks: Path) -> None:
    """SIGKILL the first process found that works on a round below `tasks`."""

    def found() -> int | None:
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                words = (entry / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if b"loquela.data.tasks.worker" in words and str(tasks).encode() in b" ".join(words):
                return int(entry.name)
        return None

    os.kill(until(found, every=0.01), signal.SIGKILL)


@pytest.mark.usefixtures("small_parts")
def test_a_stopped_preparation_goes_on_where_it_was(tmp_path: Path) -> None:
    write_texts(tmp_path / "texts")
    alone = prepared(tmp_path / "alone", tmp_path / "texts", data_workers=1)
    home = tmp_path / "stopped"
    recipe = Recipe.model_validate(
        {
            "output_directory": home / "out",
            "data": {"sources": [str(tmp_path / "texts")], "document_bytes": 256, "validation_fraction": 0.1},
            "compute": {"data_workers": 1},
        }
    )
    stop, bus, done = StopRequest(), EventBus(), []

    def after_two(event: Event) -> None:
        if event.name == "data.tasks_progress.v1":
            done.append(event.data["done"])
            if event.data["done"] == 2:
                stop.request("a test")

    bus.subscribe(after_two)
    (home / "half").mkdir(parents=True)
    with pytest.raises(Interrupted, match="finished tasks and finished stages are kept"):
        stage.ingest(StageContext(recipe, bus, {}, home / "half", home, stop))
    assert done[-1] == 2
    (home / "corpus").mkdir()
    stage.ingest(StageContext(recipe, bus, {}, home / "corpus", home))
    assert done[3] == 2  # the next run began with two done
    assert write_manifest(home / "corpus", "corpus").files == write_manifest(tmp_path / "alone" / "corpus", "c").files
    assert len(alone) == 3


@pytest.mark.slow
@pytest.mark.usefixtures("small_parts")
def test_a_ray_cluster_makes_the_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("ray", reason="the extra [ray] is not installed")
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    write_texts(tmp_path / "texts")
    alone = prepared(tmp_path / "alone", tmp_path / "texts", data_workers=1)
    assert prepared(tmp_path / "ray", tmp_path / "texts", data="ray", data_workers=2) == alone
