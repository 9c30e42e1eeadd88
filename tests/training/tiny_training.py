"""A tiny real training for the tests, in this process or in one of its own.

python tiny_training.py FOLDER [recipe settings as JSON]     trains or resumes the run in FOLDER/runs/run
"""

from __future__ import annotations

import json
import multiprocessing
import os
import random
import signal
import socket
from multiprocessing.context import ForkServerProcess
from pathlib import Path

import numpy as np
import torch
import torch._dynamo  # optimizers import it when first used; children shall find it loaded
from safetensors.torch import load_file

from loquela.artifacts.context import StageContext, StageResult, StopRequest
from loquela.artifacts.manifest import write_manifest
from loquela.artifacts.shards import ShardsFacts, ShardWriter
from loquela.core.atomic import append_line
from loquela.core.errors import LoquelaError
from loquela.monitoring.events import Bus, Event, EventBus
from loquela.recipe.schema import Recipe, TokenizerSection
from loquela.tokenizers.train import train_tokenizer
from loquela.training.batches import Batch, StepBatches
from loquela.training.loader import BatchLoader
from loquela.training.stage import train
from loquela.training.step import StepRunner

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


# ── children ──────────────────────────────────────────────────────────────────────────────────────────

HERE = str(Path(__file__).parent)
SERVER = multiprocessing.get_context("forkserver")
SERVER.set_forkserver_preload(["tiny_training"])


def train_as_child(folder: str, changes: dict, run: str, environment: dict[str, str]) -> None:
    os.environ.update(environment)
    torch.set_num_threads(1)
    context = make_context(Path(folder), changes, run)
    record_rows(context.run_directory)
    if os.environ.get("RANK") == os.environ.get("TINY_POISONED_RANK", "nobody"):
        poison({int(step) for step in os.environ["TINY_POISONED_STEPS"].split(",")})
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda received, frame: context.stop.request(signal.Signals(received).name))
    try:
        train(context)
    except LoquelaError as error:
        (context.run_directory / "error.json").write_text(json.dumps({"code": error.code, "message": error.message}))
        raise SystemExit(error.exit_code) from error


def record_rows(directory: Path) -> None:
    """Write the rows of every step that this process reads, in order, to seen.jsonl of the run; rank by rank."""
    load = BatchLoader.load

    def recording(self: BatchLoader, step: int) -> StepBatches:
        loaded = load(self, step)
        own = [row for batch in loaded.micro_batches for row in batch.rows]
        rank = self.settings.rank
        append_line(directory / "seen.jsonl", json.dumps({"step": step, "rank": rank, "rows": own}))
        return loaded

    BatchLoader.load = recording  # type: ignore[method-assign]


def poison(steps: set[int]) -> None:
    """Make this process's loss of some steps NaN, as one broken machine among good ones would."""
    load, loss_sum = BatchLoader.load, StepRunner.loss_sum
    now = []

    def watched(self: BatchLoader, step: int) -> StepBatches:
        now[:] = [step]
        return load(self, step)

    def poisoned(self: StepRunner, batch: Batch, bus: Bus | None = None) -> torch.Tensor:
        loss = loss_sum(self, batch, bus)
        return loss * float("nan") if self.model.training and now[0] in steps else loss

    BatchLoader.load = watched  # type: ignore[method-assign]
    StepRunner.loss_sum = poisoned  # type: ignore[method-assign]


def start(
    folder: Path, changes: dict | None = None, run: str = "run", environment: dict[str, str] | None = None
) -> ForkServerProcess:
    """Train in a child; its exit code is 0 or the error's, which it leaves in error.json of the run."""
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = HERE
    try:
        child = SERVER.Process(target=train_as_child, args=(str(folder), changes or {}, run, environment or {}))
        child.start()
    finally:
        if before is None:
            del os.environ["PYTHONPATH"]
        else:
            os.environ["PYTHONPATH"] = before
    return child


def finish(child: ForkServerProcess, seconds: float = 120.0) -> int:
    """Wait for a child and return its exit code; a child that hangs is killed and fails the test."""
    child.join(seconds)
    if child.exitcode is None:
        child.kill()
        child.join()
        raise AssertionError(f"the child did not end within {seconds} s")
    return child.exitcode


def train_in_ranks(folder: Path, changes: dict, run: str, world_size: int) -> list[int]:
    """Train in `world_size` processes; their exit codes."""
    return [finish(child) for child in start_ranks(folder, changes, run, world_size)]


def start_ranks(
    folder: Path, changes: dict, run: str, world_size: int, more: dict[str, str] | None = None
) -> list[ForkServerProcess]:
    """Start `world_size` processes with the environment that torchrun gives them, and `more` of it."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    (folder / "runs" / run).mkdir(parents=True, exist_ok=True)
    children = []
    for rank in range(world_size):
        environment = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), **(more or {})}
        environment |= {"RANK": str(rank), "LOCAL_RANK": str(rank)}
        environment |= {"WORLD_SIZE": str(world_size), "LOCAL_WORLD_SIZE": str(world_size)}
        children.append(start(folder, changes, run, environment))
    return children
