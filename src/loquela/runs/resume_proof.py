"""Straight against stopped and gone on with: the same training twice in empty folders, compared step by step.

    straight   ── 1 ── 2 ── 3 ── 4 ── 5 ── 6 ─▶ checkpoint
    stopped    ── 1 ── 2 ── 3 ■ ─ open again ── 4 ── 5 ── 6 ─▶ checkpoint

Compared are the order of the rows, loss, learning rate and gradient norm of every step, then the optimizer's state and
the weights, tensor by tensor.
"""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Callable, Iterator
from pathlib import Path

from pydantic import JsonValue

from loquela.artifacts.checkpoints import list_checkpoints
from loquela.artifacts.context import StageContext, StageResult
from loquela.core.entry import resolve
from loquela.core.errors import Interrupted
from loquela.core.model import BoundaryModel
from loquela.monitoring.events import Event, EventBus
from loquela.recipe.schema import Recipe
from loquela.stages import stage_for

Train = Callable[[StageContext], StageResult]
COMPARED = ("order", "loss", "learning_rate", "gradient_norm", "tokens_seen")
TENSOR_FILES = {"optimizer.safetensors": "optimizer state", "model.safetensors": "weights"}


class Difference(BoundaryModel):
    """The first thing that is not the same; `step` is None for what is compared at the end."""

    what: str
    step: int | None
    straight: JsonValue
    resumed: JsonValue


class ResumeProof(BoundaryModel):
    """What was compared: `steps` of training, of which the second run was stopped after `stopped_after`."""

    passed: bool
    steps: int
    stopped_after: int
    compared: dict[str, int]
    hashes: dict[str, str]
    first_difference: Difference | None = None


def prove_resume(recipe: Recipe, inputs: dict[str, Path], folder: Path, steps: int) -> ResumeProof:
    """Train `steps` optimizer steps below the empty `folder`, once straight, once stopped half-way and gone on with.

    `inputs` are the artifacts that the recipe's training takes. Raises what training raises.
    """
    short = shortened(recipe, steps)
    train: Train = resolve(stage_for("train", recipe).entry)
    straight = _Trained(short, inputs, folder / "straight", train)
    straight.run()
    done = max(straight.steps, default=0)
    half = max(1, done // 2)
    resumed = _Trained(short, inputs, folder / "resumed", train)
    resumed.run(stop_after=half)
    resumed.run()
    compared = {name: 0 for name in COMPARED}
    found = _compare_steps(straight.steps, resumed.steps, compared)
    hashes: dict[str, str] = {}
    for name, what in TENSOR_FILES.items():
        one, two = _tensors(straight.checkpoint / name), _tensors(resumed.checkpoint / name)
        hashes[what] = hashlib.sha256(json.dumps(one, sort_keys=True).encode()).hexdigest()
        compared[what] = len(one)
        found = found or _compare_tensors(what, one, two)
    return ResumeProof(
        passed=found is None,
        steps=done,
        stopped_after=half,
        compared=compared,
        hashes=hashes,
        first_difference=found,
    )


def shortened(recipe: Recipe, steps: int) -> Recipe:
    """The recipe's training cut to `steps`, every step told, nothing proven by training beforehand."""
    changes: dict[str, JsonValue] = {"max_steps": steps, "log_every_steps": 1, "checkpoint_every_steps": 10**6}
    if recipe.finetune is None:
        return recipe.model_copy(update={"train": recipe.train.model_copy(update=changes)})
    proofs = recipe.finetune.proofs.model_copy(update={"canary_rows": 0, "rehearsal": False})
    return recipe.model_copy(update={"finetune": recipe.finetune.model_copy(update={**changes, "proofs": proofs})})


class _Trained:
    """One training in a folder of its own, and what each of its steps said."""

    def __init__(self, recipe: Recipe, inputs: dict[str, Path], folder: Path, train: Train) -> None:
        self.recipe = recipe
        self.inputs = inputs
        self.folder = folder
        self.train = train
        self.steps: dict[int, dict[str, JsonValue]] = {}
        folder.mkdir(parents=True)

    def run(self, stop_after: int | None = None) -> None:
        """Train, or go on; a stop is asked for after the step `stop_after`."""
        bus = EventBus()
        context = StageContext(self.recipe, bus, self.inputs, self.folder / "out", self.folder)

        def listen(event: Event) -> None:
            self._take(event)
            if event.name == "trainer.metrics.progress.v1" and event.data.get("step") == stop_after:
                context.stop.request("the proof")

        bus.subscribe(listen)
        try:
            self.train(context)
        except Interrupted:
            if stop_after is None:
                raise

    @property
    def checkpoint(self) -> Path:
        """The last checkpoint."""
        return list_checkpoints(self.folder)[0]

    def _take(self, event: Event) -> None:
        step = event.data.get("step")
        if not isinstance(step, int):
            return
        if event.name == "data_loader.batch_loaded.v1":
            self.steps.setdefault(step + 1, {})["order"] = event.data.get("order")
        if event.name == "trainer.metrics.progress.v1":
            told = {name: event.data.get(name) for name in COMPARED if name in event.data}
            self.steps.setdefault(step, {}).update(told)


def _compare_steps(
    straight: dict[int, dict[str, JsonValue]], resumed: dict[int, dict[str, JsonValue]], compared: dict[str, int]
) -> Difference | None:
    for step in sorted(straight.keys() | resumed.keys()):
        for name in COMPARED:
            one, two = straight.get(step, {}).get(name), resumed.get(step, {}).get(name)
            if one != two:
                return Difference(what=name, step=step, straight=one, resumed=two)
            compared[name] += 1
    return None


def _compare_tensors(what: str, one: dict[str, str], two: dict[str, str]) -> Difference | None:
    for name in sorted(one.keys() | two.keys()):
        if one.get(name) != two.get(name):
            return Difference(what=f"{what}: {name}", step=None, straight=one.get(name), resumed=two.get(name))
    return None


def _tensors(path: Path) -> dict[str, str]:
    """Name → SHA-256 of every tensor's type, shape and bytes in a safetensors file."""
    return dict(_digests(path))


def _digests(path: Path) -> Iterator[tuple[str, str]]:
    data = path.read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    header: dict[str, dict[str, JsonValue]] = json.loads(data[8 : 8 + length])
    for name, entry in header.items():
        offsets = entry.get("data_offsets")
        if name != "__metadata__" and isinstance(offsets, list):
            first, end = (8 + length + int(str(offset)) for offset in offsets)
            kind = f"{entry.get('dtype')} {entry.get('shape')}".encode()
            yield name, hashlib.sha256(kind + data[first:end]).hexdigest()
