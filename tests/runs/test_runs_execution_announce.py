"""What a run says at its start: the derived values that its stages look at, and no others."""

from __future__ import annotations

from pathlib import Path

from loquela.monitoring.events import Event
from loquela.recipe.loading import load_recipe
from loquela.runs.execution import execute


def announced(home: Path, until: str) -> list[str]:
    heard: list[Event] = []
    recipe = {
        "output_directory": str(home / "out"),
        "data.sources": ["builtin:stories"],
        "data.stories": 20,
        "tokenizer.method": "char",
        "model.size": "small",
    }
    execute(load_recipe(None, recipe), until=until, resume="never", listeners=[heard.append])
    rows = next(event.data["derived"] for event in heard if event.name == "pipeline.started.v1")
    return [row["key"] for row in rows]


def test_a_corpus_derives_nothing_and_a_tokenizer_its_size(tmp_path: Path) -> None:
    assert announced(tmp_path, "ingest") == []
    assert announced(tmp_path, "tokenizer") == ["tokenizer.vocab_size"]
