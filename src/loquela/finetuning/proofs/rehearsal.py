"""What a long run will meet, in its first minute: the longest batch, an evaluation, a save, a reload, one more step."""

from __future__ import annotations

import resource
import shutil
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch
from pydantic import JsonValue
from torch import Tensor

from loquela.artifacts.proof import Proof
from loquela.artifacts.token_rows import TokenRow
from loquela.core.errors import ErrorCode
from loquela.finetuning.proofs.borrowed import borrowed, trained_copy, trained_parameters
from loquela.finetuning.proofs.chosen_rows import longest_rows
from loquela.finetuning.proofs.numbers import finite
from loquela.finetuning.proofs.subject import Subject
from loquela.training.shards import whole

NAME = "rehearsal"
# Beside the periodic checkpoints that are kept: the one being written and the finished adapter.
MORE_FOLDERS = 2


def prove_rehearsal(subject: Subject) -> Proof:
    """Straight on against saved, wiped, reloaded into a new optimizer and gone on with: bit for bit the same.

    Measures the seconds of the longest step, the peak of memory, and whether the checkpoints will fit on the disk.
    """
    rows = longest_rows(subject.training_rows, subject.settings.batch_size)
    held_out = longest_rows(subject.evaluation_rows, subject.settings.batch_size)
    with _folder(subject) as folder, borrowed(subject.model):
        seconds, losses, size, straight, again = _steps(subject, rows, held_out, folder)
    free = shutil.disk_usage(subject.directory).free
    needed = size * (subject.settings.keep_checkpoints + MORE_FOLDERS)
    different = [name for name, value in straight.items() if not torch.equal(whole(value), whole(again[name]))]
    numbers: dict[str, JsonValue] = {
        "longest_row_tokens": len(rows[0].ids),
        "rows": len(rows),
        "seconds_per_micro_batch": round(seconds, 3),
        "evaluation_loss": finite(losses[0]) if losses else None,
        "checkpoint_bytes": size,
        "disk_needed_bytes": needed,
        "disk_free_bytes": free,
        "peak_memory_bytes": peak_memory_bytes(),
        "tensors_that_differ": list(different[:10]),
    }
    if needed > free:
        return _proof(
            f"the checkpoints need {needed / 1e6:,.0f} MB, {free / 1e6:,.0f} MB are free",
            numbers,
            ErrorCode.DISK_FULL,
            "free some space, set finetune.keep_checkpoints lower, or choose another output_directory",
        )
    if different:
        fault = f"one more step after a save and a reload differs in {len(different)} tensors: {different[0]}"
        remedy = "report it with this file: a resumed run would not be the run that was stopped"
        return _proof(fault, numbers, ErrorCode.CHECKPOINT_FAILED, remedy)
    return _proof(None, numbers, ErrorCode.CHECKPOINT_FAILED, "")


def _proof(fault: str | None, numbers: dict[str, JsonValue], code: ErrorCode, remedy: str) -> Proof:
    return Proof(
        name=NAME,
        passed=fault is None,
        message=fault
        or f"the longest batch ({numbers['rows']} rows of up to {numbers['longest_row_tokens']} tokens) takes "
        f"{numbers['seconds_per_micro_batch']} s; after a save and a reload the next step is the same bit for bit",
        remedy=remedy,
        code=code,
        numbers=numbers,
    )


@contextmanager
def _folder(subject: Subject) -> Iterator[Path]:
    """An empty folder of the run, the same one for all processes that prove together, gone at the end."""
    folder = subject.directory / NAME
    if not subject.writes:
        yield folder
        return
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def _steps(
    subject: Subject, rows: Sequence[TokenRow], held_out: Sequence[TokenRow], folder: Path
) -> tuple[float, list[float], int, dict[str, Tensor], dict[str, Tensor]]:
    """Seconds, losses, bytes of the saved state, and what was trained: straight on, and after a reload."""
    rate = subject.settings.learning_rate
    batch = subject.batch(rows)
    optimizer = subject.new_optimizer(rate)
    started = time.perf_counter()
    subject.step_gradients([batch])
    optimizer.step()
    seconds = time.perf_counter() - started
    losses = [subject.evaluate(held_out)] if held_out else []
    subject.save_state(folder, optimizer)
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    random = _random_state()
    subject.step_gradients([batch])
    optimizer.step()
    straight = trained_copy(subject.model)
    _wipe(subject)
    fresh = subject.new_optimizer(rate)
    subject.load_state(folder, fresh)
    _set_random_state(random)
    subject.step_gradients([batch])
    fresh.step()
    return seconds, losses, size, straight, trained_copy(subject.model)


def _random_state() -> list[Tensor]:
    return [torch.get_rng_state(), *(torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [])]


def _set_random_state(states: list[Tensor]) -> None:
    torch.set_rng_state(states[0])
    if len(states) > 1:
        torch.cuda.set_rng_state_all(states[1:])


@torch.no_grad()
def _wipe(subject: Subject) -> None:
    """Nothing of what was trained may survive but by the files."""
    for parameter in trained_parameters(subject.model).values():
        parameter.zero_()


def peak_memory_bytes() -> int:
    """Most memory this process has held: of the GPU where there is one, else resident."""
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
