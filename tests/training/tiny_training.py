"""A tiny real training for the tests, in this process or in one of its own.

python tiny_training.py FOLDER [recipe settings as JSON]     trains or resumes the run in FOLDER/runs/run
"""

from __future__ import annotations

import json
import random
import signal
import sys
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file

from loquela.artifacts.context import StageContext, StageResult, StopRequest
from loquela.artifacts.manifest import write_manifest
from loquela.artifacts.shards import ShardsFacts, ShardWriter
from loquela.monitoring.events import Event, EventBus
from loquela.recipe.schema import Recipe, TokenizerSection
from loquela.tokenizers.train import train_tokenizer
from loquela.training.stage import train

WORDS = "el mar the sea la luz night noche un a ship barco and y cold blue azul far lejos one day".split()


def sentences(count: int, seed: int = 0) -> list[str]:
    generator = random.Random(seed)
    return [" ".join(generator.choices(WORDS, k=generator.randint(3, 9))) + "." for _ in range(count)]


def make_inputs(folder: Path, documents: int = 60) -> None:
    """FOLDER/tokenizer and FOLDER/shards: a character tokenizer and its tokens."""
    texts = sentences(documents)
    bus = EventBus()
    section = TokenizerSection(method="char", vocab_size=64)
    (folder / "tokenizer").mkdir(parents=True)
    train_tokenizer(section, lambda: iter(texts), lambda: iter(texts[:3]), folder / "tokenizer", bus)
    write_manifest(folder / "tokenizer", "tokenizer")
    make_shards(folder / "shards", folder / "tokenizer", texts)


def make_shards(place: Path, tokenizer: Path, texts: list[str]) -> None:
    from loquela.tokenizers.load import load_tokenizer

    handle = load_tokenizer(tokenizer)
    facts = ShardsFacts(vocab_size=handle.vocab_size, dtype="uint16", eos_id=handle.eos_id, splits={})
    for split, part in (("train", texts[5:]), ("validation", texts[:5])):
        with ShardWriter(place, split, handle.vocab_size, eos_id=handle.eos_id) as writer:
            for text in part:
                writer.write(handle.encode(text), len(text.encode()))
        facts.splits[split] = writer.facts
    write_manifest(place, "shards", facts=facts.model_dump(mode="json"))


SETTINGS = {
    "name": "tiny",
    "seed": 7,
    "model": {
        "num_layers": 1,
        "d_model": 16,
        "num_heads": 2,
        "dim_feedforward": 32,
        "max_sequence_length": 16,
        "dropout": 0.1,
    },
    "train": {
        "epochs": 2,
        "batch_size": 8,
        "learning_rate": 0.01,
        "log_every_steps": 1,
        "checkpoint_every_steps": 3,
        "keep_checkpoints": 2,
    },
    "evaluate": {"prompts": ["the sea"], "sample_tokens": 4},
    "compute": {"device": "cpu", "precision": "fp32", "threads": 1, "linear_kernel": "torch", "compile": "off"},
}


def merged(base: dict, changes: dict) -> dict:
    result = dict(base)
    for key, value in changes.items():
        result[key] = merged(base[key], value) if isinstance(value, dict) and isinstance(base.get(key), dict) else value
    return result


def make_recipe(changes: dict | None = None) -> Recipe:
    return Recipe.model_validate(merged(SETTINGS, changes or {}))


def make_context(folder: Path, changes: dict | None = None, run: str = "run") -> StageContext:
    directory = folder / "runs" / run
    directory.mkdir(parents=True, exist_ok=True)
    bus = EventBus()
    context = StageContext(
        recipe=make_recipe(changes),
        bus=bus,
        inputs={"tokenizer": folder / "tokenizer", "shards": folder / "shards"},
        output=directory / "final",
        run_directory=directory,
        stop=StopRequest(),
    )
    return context


def heard(context: StageContext) -> list[Event]:
    """The events of a context's bus, from now on."""
    events: list[Event] = []
    assert isinstance(context.bus, EventBus)
    context.bus.subscribe(events.append)
    return events


def run_training(folder: Path, changes: dict | None = None, run: str = "run") -> tuple[StageResult, list[Event]]:
    context = make_context(folder, changes, run)
    events = heard(context)
    return train(context), events


def final_weights(folder: Path, run: str = "run") -> dict[str, torch.Tensor]:
    return load_file(folder / "runs" / run / "final" / "model.safetensors")


def same_bits(left: dict[str, torch.Tensor], right: dict[str, torch.Tensor]) -> bool:
    return left.keys() == right.keys() and all(
        np.array_equal(left[name].numpy().view(np.uint8), right[name].numpy().view(np.uint8)) for name in left
    )


def lines(folder: Path, name: str, run: str = "run") -> list[dict]:
    path = folder / "runs" / run / name
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def main() -> None:
    folder = Path(sys.argv[1])
    changes = json.loads(sys.argv[2]) if len(sys.argv) > 2 else {}
    run = sys.argv[3] if len(sys.argv) > 3 else "run"
    context = make_context(folder, changes, run)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda received, frame: context.stop.request(signal.Signals(received).name))
    train(context)


if __name__ == "__main__":
    main()
