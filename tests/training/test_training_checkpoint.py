"""The parts of saving and resuming: files, staging, compatibility, versions, line files, advice on memory."""

import json
import math
import threading

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from loquela.artifacts.checkpoints import list_checkpoints, newest_valid
from loquela.artifacts.manifest import verify
from loquela.artifacts.training_records import EpochMetrics, TrainingCheckpoint, final_metrics
from loquela.core.errors import DataError, ErrorCode, ResourceError
from loquela.models.build import build_model
from loquela.models.config import TransformerConfig
from loquela.monitoring.events import EventBus
from loquela.recipe.schema import LossSection, OptimizerSection, TrainSection
from loquela.training import checkpoint, staging
from loquela.training.batches import Batch, StepBatches, StepPlan
from loquela.training.checkpoint import Checkpointer, restore_model, restore_optimizer
from loquela.training.compatibility import check_data, check_network, check_rows_per_step, settings_changes
from loquela.training.distributed import Group
from loquela.training.lineage import first_version
from loquela.training.memory import is_out_of_memory, out_of_memory
from loquela.training.optimizers import build_optimizer
from loquela.training.records import append_record, forget_after, read_records
from loquela.training.staging import Staging, first_not_finite, write_safetensors
from loquela.training.step import StepRunner, dropout_seed, seed_generators

CONFIG = TransformerConfig(
    vocab_size=16,
    num_layers=1,
    d_model=8,
    num_heads=2,
    num_kv_heads=2,
    head_dim=4,
    dim_feedforward=16,
    max_sequence_length=8,
)


def state(step=1, **changes):
    values = {
        "step": step,
        "epoch": 0,
        "reason": "periodic",
        "seed": 1,
        "data_digest": "data",
        "tokenizer_digest": "words",
        "vocab_size": 16,
        "training_config": {"name": "run", "train": {"batch_size": 4, "gradient_accumulation_steps": 2}},
    }
    return TrainingCheckpoint.model_validate({**values, **changes})


def checkpointer(directory, **changes):
    bus = EventBus()
    events = []
    bus.subscribe(events.append)
    settings = {"keep": 2, "bus": bus, **changes}
    return Checkpointer(directory, CONFIG.model_dump(mode="json"), lambda place, weights: None, **settings), events


# ── files ─────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("dtype", list(staging.DTYPE_NAMES))
def test_the_safetensors_library_reads_back_every_bit_of_every_type(tmp_path, dtype):
    values = torch.arange(12).reshape(3, 4).to(dtype)
    tensors = {"b": values, "a": torch.tensor(3.5), "empty": torch.empty(0, 2, dtype=dtype), "t": values.t()}
    write_safetensors(tmp_path / "x.safetensors", tensors)
    loaded = load_file(tmp_path / "x.safetensors")
    assert loaded.keys() == tensors.keys()
    for name, tensor in tensors.items():
        assert loaded[name].dtype == tensor.dtype
        assert torch.equal(loaded[name], tensor)


def test_staged_copies_stay_when_the_tensors_change():
    stage = Staging()
    weight = torch.ones(4)
    copies = stage.copy({"w": weight})
    weight.zero_()
    assert torch.equal(copies["w"], torch.ones(4))
    again = stage.copy({"w": weight})
    assert again["w"].data_ptr() == copies["w"].data_ptr()
    assert stage.copy({"w": torch.ones(5)})["w"].shape == (5,)


def test_reserved_buffers_are_the_ones_that_are_used():
    stage = Staging()
    stage.reserve({"w": torch.ones(4)})
    reserved = stage._buffers["w"].data_ptr()
    assert stage.copy({"w": torch.ones(4)})["w"].data_ptr() == reserved


def test_the_first_tensor_that_is_not_finite_is_named():
    fine = {"a": torch.ones(2), "n": torch.tensor([1, 2])}
    assert first_not_finite(fine) is None
    assert first_not_finite({**fine, "b": torch.tensor([1.0, math.nan])}) == "b"
    assert first_not_finite({**fine, "c": torch.tensor([math.inf], dtype=torch.bfloat16)}) == "c"


# ── saving ────────────────────────────────────────────────────────────────────────────────────────────


def trained(seed=0):
    model = build_model(CONFIG, seed)
    optimizer = build_optimizer(OptimizerSection(), model, 0.01, batch_tokens=64)
    for parameter in model.parameters():
        parameter.grad = torch.full_like(parameter, 0.1)
    optimizer.step(1.0)
    return model, optimizer


def test_what_is_saved_is_what_comes_back(tmp_path):
    model, optimizer = trained()
    saver, events = checkpointer(tmp_path)
    saver.save(model.state_dict(), optimizer.state_tensors(), state(7))
    saver.wait_until_staged()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    optimizer.step(1.0)
    saver.finish()
    found = newest_valid(tmp_path, lambda place, why: pytest.fail(why))
    assert found is not None
    assert found.state.checkpoint_path == "checkpoints/00000007"
    assert all(torch.equal(tensor, before[name]) for name, tensor in restore_model(found).items())
    other, other_optimizer = trained(seed=1)
    other.load_state_dict(restore_model(found))
    restore_optimizer(found, other_optimizer)
    for parameter in other.parameters():
        parameter.grad = torch.full_like(parameter, 0.1)
    other_optimizer.step(1.0)
    for mine, theirs in zip(model.parameters(), other.parameters(), strict=True):
        assert np.array_equal(mine.detach().numpy().view(np.uint8), theirs.detach().numpy().view(np.uint8))
    saved = next(event for event in events if event.name == "model_checkpointer.checkpoint_saved.v1")
    assert {"checkpoint_id", "checkpoint_path", "size_mb", "metadata"} <= set(saved.data)
    assert verify(found.directory, "checkpoint").facts["step"] == 7
    saver.close()


def test_the_loop_waits_for_staging_only(tmp_path, monkeypatch):
    """The write is held back; the tensors may change and the training go on meanwhile."""
    model, optimizer = trained()
    released, original = threading.Event(), checkpoint.write_safetensors

    def held(path, tensors):
        assert released.wait(30)
        original(path, tensors)

    monkeypatch.setattr(checkpoint, "write_safetensors", held)
    saver, _ = checkpointer(tmp_path)
    saver.save(model.state_dict(), optimizer.state_tensors(), state(1))
    saver.wait_until_staged()
    saver.report()
    assert list_checkpoints(tmp_path) == []
    assert not saver.failed()
    released.set()
    saver.finish()
    assert [path.name for path in list_checkpoints(tmp_path)] == ["00000001"]
    assert len(saver.pauses_seconds) == 1
    saver.close()


def test_a_failed_write_says_why_and_leaves_nothing(tmp_path, monkeypatch):
    def full(path, tensors):
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoint, "write_safetensors", full)
    saver, _ = checkpointer(tmp_path)
    saver.save({"w": torch.ones(1)}, {}, state(1))
    with pytest.raises(
        ResourceError, match="could not be written: no space left .*; no checkpoint is saved yet"
    ) as caught:
        saver.finish()
    assert caught.value.code is ErrorCode.DISK_FULL
    assert caught.value.remedy.endswith("--resume auto")
    assert list((tmp_path / "checkpoints").iterdir()) == []
    saver.close()


def test_the_final_checkpoint_is_never_refused_in_silence(tmp_path):
    saver, events = checkpointer(tmp_path)
    saver.save({"w": torch.tensor([math.nan])}, {}, state(1))
    saver.finish()
    assert [event.data["tensor"] for event in events if "refused" in event.name] == ["w"]
    saver.save({"w": torch.tensor([math.nan])}, {}, state(1, reason="final"))
    with pytest.raises(checkpoint.ProofError, match="checkpoint of step 1 was not saved: w has a NaN") as caught:
        saver.finish()
    assert caught.value.code is ErrorCode.NAN_DETECTED
    assert list_checkpoints(tmp_path) == []
    saver.close()


# ── compatibility and versions ────────────────────────────────────────────────────────────────────────


def test_networks_are_compared_value_by_value():
    saved = CONFIG.model_dump(mode="json")
    check_network("x", saved, dict(saved))
    with pytest.raises(DataError, match="x is of another architecture: num_layers is 1 there and 2 here"):
        check_network("x", saved, {**saved, "num_layers": 2})
    with pytest.raises(DataError, match="another vocabulary: vocab_size is 16 there and 32 here") as caught:
        check_network("x", saved, {**saved, "vocab_size": 32})
    assert caught.value.code is ErrorCode.CHECKPOINT_INCOMPATIBLE


def test_data_tokenizer_seed_and_rows_must_be_the_same():
    same = {"data_digest": "data", "tokenizer_digest": "words", "seed": 1}
    check_data("x", state(), **same)
    for change, message in (
        ({"data_digest": "other"}, "digest of the token shards data, now other"),
        ({"tokenizer_digest": None}, "digest of the tokenizer words, now none"),
        ({"seed": 2}, "made with seed 1, the recipe says 2"),
    ):
        with pytest.raises(DataError, match=message):
            check_data("x", state(), **{**same, **change})
    check_rows_per_step("x", state().training_config, 8)
    check_rows_per_step("x", {}, 8)
    with pytest.raises(DataError, match="8 rows per step, the recipe gives 16"):
        check_rows_per_step("x", state().training_config, 16)


def test_settings_changes_look_at_training_only():
    old = {"train": {"epochs": 1}, "compute": {"threads": 1}, "evaluate": {"prompts": ["a"]}, "name": "a"}
    new = {"train": {"epochs": 2}, "compute": {"threads": 1}, "evaluate": {"prompts": ["b"]}, "name": "b"}
    assert settings_changes(old, new) == {"train.epochs": ("1", "2")}


def test_a_new_run_is_versioned_after_the_last_of_its_name(tmp_path):
    config = CONFIG.model_dump(mode="json")
    run = tmp_path / "new"
    run.mkdir()
    assert first_version(run, "run", config) == "1.0.0"
    saver, _ = checkpointer(tmp_path / "before")
    saver.save({"w": torch.ones(1)}, {}, state(1, version="2.3.4"))
    saver.finish()
    saver.close()
    (tmp_path / "broken" / "checkpoints" / "00000009").mkdir(parents=True)
    assert first_version(run, "run", config) == "2.3.5"
    assert first_version(run, "run", {**config, "num_layers": 2}) == "2.4.0"
    assert first_version(run, "run", {**config, "vocab_size": 99}) == "3.0.0"
    assert first_version(run, "another name", config) == "1.0.0"


# ── line files, epochs, memory ────────────────────────────────────────────────────────────────────────


def test_lines_of_the_future_and_half_lines_are_forgotten(tmp_path):
    for step in (1, 2, 3):
        append_record(tmp_path, "samples.jsonl", {"step": step, "text": "ñ\u2028"})
    with (tmp_path / "samples.jsonl").open("a") as stream:
        stream.write('{"step": 2, "te')
    forget_after(tmp_path, 2)
    assert [record["step"] for record in read_records(tmp_path, "samples.jsonl")] == [1, 2]
    assert (tmp_path / "samples.jsonl").read_text().endswith("}\n")


def epoch(number, train, validation):
    return EpochMetrics(
        epoch_number=number,
        train_loss=train,
        validation_loss=validation,
        learning_rate=0.1,
        elapsed_seconds=1,
        gradient_norm=1.0,
    )


def test_final_metrics_flag_plateaus_and_overfitting():
    learning = final_metrics([epoch(1, 4.0, 4.1), epoch(2, 3.0, 3.2), epoch(3, 2.0, 2.4)], 3.0)
    assert (learning.best_epoch, learning.convergence_achieved, learning.overfitting_detected) == (3, False, False)
    flat = final_metrics([epoch(1, 2.0, 2.51), epoch(2, 2.0, 2.5), epoch(3, 1.9, 2.52)], 3.0)
    assert (flat.best_epoch, flat.convergence_achieved, flat.overfitting_detected) == (2, True, True)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (MemoryError(), True),
        (torch.OutOfMemoryError("CUDA out of memory"), True),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried"), True),
        (RuntimeError("shapes do not match"), False),
        (ValueError("out of memory"), False),
    ],
)
def test_what_counts_as_out_of_memory(error, expected):
    assert is_out_of_memory(error) is expected


def test_out_of_memory_with_nothing_left_to_cut_names_a_smaller_model():
    section = TrainSection(batch_size=1, gradient_accumulation_steps=1)
    error = out_of_memory(
        MemoryError(), CONFIG, section, processes=1, precision="fp32", gradient_checkpointing=False, step=3
    )
    assert "choose a smaller model.size" in error.remedy
    assert error.details["largest_part"] == "libraries"


# ── the step ──────────────────────────────────────────────────────────────────────────────────────────


def test_dropout_seeds_differ_by_every_argument():
    seeds = {
        dropout_seed(*arguments) for arguments in ((1, 1, 1, 1), (2, 1, 1, 1), (1, 2, 1, 1), (1, 1, 2, 1), (1, 1, 1, 2))
    }
    assert len(seeds) == 5
    assert all(0 <= seed < 2**63 for seed in seeds)


def test_seeding_is_torchs_own_on_the_cpu_and_leaves_nothing_behind():
    queued = len(torch.cuda._queued_calls)
    seed_generators(torch.device("cpu"), 2**62 + 5)
    ours = torch.rand(4)
    assert len(torch.cuda._queued_calls) == queued
    torch.manual_seed(2**62 + 5)
    assert torch.equal(ours, torch.rand(4))


def runner(precision="fp32", **section):
    model, optimizer = trained()
    made = TrainSection(loss=LossSection(), **section)
    return StepRunner(model, optimizer, made, Group(), device="cpu", precision=precision, seed=1)


def batches(step=0):
    tokens = torch.arange(16).reshape(2, 8) % 16
    return StepBatches(StepPlan(step, 0, np.arange(2), 16), [Batch(tokens, tokens, 16, (0, 1))])


def test_a_step_above_the_norm_limit_is_not_applied():
    step = runner()
    before = [parameter.detach().clone() for parameter in step.model.parameters()]
    outcome = step.gradients(batches(), norm_limit=1e-6)
    step.update(outcome, 1.0)
    assert outcome.numbers[2] == 0
    assert all(torch.equal(old, new) for old, new in zip(before, step.model.parameters(), strict=True))


def test_fp16_halves_its_scale_until_the_step_fits_and_remembers_it():
    step = runner("fp16")
    step.scale = 2.0**40
    outcome = step.gradients(batches(), math.inf)
    assert bool(outcome.numbers[2])
    assert step.scale < 2.0**40
    exact = runner()
    expected = exact.gradients(batches(), math.inf)
    assert outcome.numbers[0] == pytest.approx(float(expected.numbers[0]), rel=1e-2)
    assert outcome.numbers[1] == pytest.approx(float(expected.numbers[1]), rel=5e-2)
    step.update(outcome, 1.0)
    saved = json.loads(json.dumps(step.scale_state()))
    other = runner("fp16")
    other.load_scale_state(saved)
    assert other.scale_state() == step.scale_state()
    assert runner().scale_state() is None
