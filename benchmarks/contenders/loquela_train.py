"""Loquela's own train stage, whole: loader, loop, events, metrics, checkpoints; `--kernel torch` turns oneDNN off."""

import itertools
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from measure import chosen_shape, report

from loquela.artifacts.context import StageContext
from loquela.artifacts.manifest import write_manifest
from loquela.artifacts.shards import ShardWriter
from loquela.monitoring.events import Event, EventBus, SilentBus
from loquela.recipe.schema import Recipe, TokenizerSection
from loquela.tokenizers.train import train_tokenizer
from loquela.training.stage import train


class Clock:
    """Bus listener: when each step ended, and its loss."""

    def __init__(self) -> None:
        self.ends: dict[int, float] = {}
        self.losses: list[float] = []

    def __call__(self, event: Event) -> None:
        step, loss = event.data.get("step"), event.data.get("loss")
        if event.name == "trainer.metrics.progress.v1" and isinstance(step, int) and step not in self.ends:
            self.ends[step] = time.perf_counter()
            self.losses.append(loss if isinstance(loss, float) else float("nan"))


def main() -> None:
    shape = chosen_shape()
    kernel = sys.argv[sys.argv.index("--kernel") + 1] if "--kernel" in sys.argv else "auto"
    steps = shape.warmup_steps + shape.measured_steps
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for name in ("tokenizer", "shards", "run"):
            (root / name).mkdir()
        texts = ["abc abd", "bcd acd"] * 20
        train_tokenizer(
            TokenizerSection(method="char"), lambda: iter(texts), lambda: iter(texts), root / "tokenizer", SilentBus()
        )
        write_shards(root / "shards", shape.vocab_size, (steps + 1) * shape.step_tokens + 1, shape.context)
        recipe = Recipe.model_validate(
            {
                "model": {
                    "num_layers": shape.layers,
                    "d_model": shape.d_model,
                    "num_heads": shape.heads,
                    "dim_feedforward": shape.feed_forward,
                    "max_sequence_length": shape.context,
                },
                "train": {"batch_size": shape.batch_size, "max_steps": steps, "epochs": 1, "log_every_steps": 1},
                "evaluate": {"sample_tokens": 1},
                "compute": {"linear_kernel": kernel},
            }
        )
        bus, clock = EventBus(), Clock()
        bus.subscribe(clock)
        inputs = {"tokenizer": root / "tokenizer", "shards": root / "shards"}
        train(StageContext(recipe, bus, inputs, root / "run" / "final", root / "run"))
    ends = [clock.ends[step] for step in sorted(clock.ends)]
    seconds = [after - before for before, after in itertools.pairwise(ends)]
    report(shape, seconds[shape.warmup_steps - 1 : steps - 1], clock.losses)


def write_shards(directory: Path, vocab_size: int, tokens: int, context: int) -> None:
    """Random tokens as shards, validation as small as one row."""
    generator = np.random.default_rng(0)
    splits: dict[str, object] = {}
    for split, count in (("train", tokens), ("validation", context + 1)):
        with ShardWriter(directory, split, vocab_size) as writer:
            writer.write(generator.integers(4, vocab_size, count).tolist(), count)
        splits[split] = writer.facts.model_dump()
    facts = {"vocab_size": vocab_size, "dtype": "uint16", "eos_id": 3, "splits": splits}
    write_manifest(directory, "shards", facts=facts)


if __name__ == "__main__":
    main()
