"""The training loop on a tiny model: what it writes, how it goes on, how it ends when something is wrong."""

import json
import math
import os
import shutil
import subprocess

import pytest
import tiny_training as tiny
import torch
from safetensors.torch import load_file

from loquela.artifacts import checkpoints
from loquela.artifacts.manifest import write_manifest
from loquela.artifacts.shards import TokenShards
from loquela.artifacts.training_records import TrainingMetrics
from loquela.core.errors import DataError, ErrorCode, Interrupted, ProofError, ResourceError
from loquela.models.folder import load_model
from loquela.training import assembly, checkpoint, loop
from loquela.training.stage import train


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("inputs")
    tiny.make_inputs(folder)
    return folder


@pytest.fixture
def folder(inputs, tmp_path):
    """The module's inputs, with runs of this test's own."""
    for name in ("tokenizer", "shards"):
        (tmp_path / name).symlink_to(inputs / name)
    return tmp_path


def names(events):
    return [event.name for event in events]


def data_of(events, name):
    return [event.data for event in events if event.name == name]


def steps_of(folder, run="run"):
    return [int(path.name) for path in checkpoints.list_checkpoints(folder / "runs" / run)]


# ── what a run leaves behind ──────────────────────────────────────────────────────────────────────────


def test_a_run_learns_and_writes_everything(folder):
    result, events = tiny.run_training(folder)
    run = folder / "runs" / "run"
    metrics = TrainingMetrics.model_validate_json((run / "training_metrics.json").read_bytes())
    assert [epoch.epoch_number for epoch in metrics.epoch_history] == [1, 2]
    assert metrics.epoch_history[1].train_loss < metrics.epoch_history[0].train_loss < math.log(64)
    assert metrics.final_metrics is not None
    assert metrics.final_metrics.best_epoch == result.facts["best_epoch"] == 2
    assert result.facts["peak_memory_mb"] > 50
    steps = [line["step"] for line in tiny.lines(folder, "metrics.jsonl") if "loss" in line]
    assert steps == list(range(1, result.facts["steps"] + 1))
    assert [(line["epoch"], line["prompt"]) for line in tiny.lines(folder, "samples.jsonl")] == [
        (1, "the sea"),
        (2, "the sea"),
    ]
    for name in ("best", "final"):
        files = {path.name for path in (run / name).iterdir()}
        assert {"config.json", "model.safetensors", "manifest.json", "tokenizer.json"} <= files
    assert tiny.same_bits(load_file(run / "best" / "model.safetensors"), tiny.final_weights(folder))
    state = checkpoints.verified(checkpoints.list_checkpoints(run)[0]).state
    assert (state.epoch, state.reason, state.version) == (2, "final", "1.0.0")
    assert state.loss_history.val_losses == [epoch.validation_loss for epoch in metrics.epoch_history]
    assert steps_of(folder) == [26, 24, 0]
    for name in (
        "trainer.job.started.v1",
        "trainer.job.progress.v1",
        "trainer.job.completed.v1",
        "trainer.metrics.config.v1",
        "trainer.metrics.progress.v1",
        "trainer.metrics.completed.v1",
        "training_orchestrator.epoch_start.v1",
        "training_orchestrator.step_complete.v1",
        "training_orchestrator.checkpoint_saved.v1",
        "training_orchestrator.gradient_computed.v1",
        "model_checkpointer.checkpoint_start.v1",
        "model_checkpointer.checkpoint_saved.v1",
        "model_checkpointer.metadata_written.v1",
    ):
        assert name in names(events), name
    progress = data_of(events, "trainer.metrics.progress.v1")[-1]
    assert {"step", "epoch", "loss", "tokens_per_second", "eta_seconds", "learning_rate", "gradient_norm"} <= set(
        progress
    )


def test_two_runs_are_the_same_bits_and_the_second_has_a_patch_version(folder):
    tiny.run_training(folder, run="one")
    result, _ = tiny.run_training(folder, run="two")
    assert tiny.same_bits(tiny.final_weights(folder, "one"), tiny.final_weights(folder, "two"))
    assert result.facts["version"] == "1.0.1"


def test_the_validation_loss_is_the_mean_over_all_label_tokens(folder):
    """Worked out again with the plain loss over whole rows; the last row is ragged."""
    result, _ = tiny.run_training(folder, {"train": {"epochs": 1}})
    shards = TokenShards(folder / "shards", "validation")
    tokens = torch.from_numpy(shards.read(0, shards.tokens_total))
    model = load_model(folder / "runs" / "run" / "final")
    total = 0.0
    for start in range(0, len(tokens) - 1, 16):
        window = tokens[start : start + 17]
        with torch.no_grad():
            logits = model(window[None, :-1])[0]
        total += float(torch.nn.functional.cross_entropy(logits, window[1:], reduction="sum"))
    assert (len(tokens) - 1) % 16 != 0
    assert result.facts["validation_loss"] == pytest.approx(total / (len(tokens) - 1), rel=1e-5)


GOLDEN = [3.301646, 3.232902, 3.136719, 3.112676, 3.024716, 3.069861, 2.99724, 3.027407, 2.93297, 3.027387]


def test_golden_losses_of_the_first_ten_steps(folder):
    """Worked out by this code, to notice when a change moves them; other CPUs add in another order."""
    tiny.run_training(folder, {"train": {"max_steps": 10}})
    losses = [line["loss"] for line in tiny.lines(folder, "metrics.jsonl") if "loss" in line]
    assert losses == pytest.approx(GOLDEN, rel=1e-4)


def test_the_sample_file_and_the_best_folder_follow_the_recipe(folder):
    changes = {"train": {"epochs": 3, "sample_every_epochs": 2, "evaluate_every_steps": 4, "log_every_steps": 5}}
    tiny.run_training(folder, changes)
    assert [line["epoch"] for line in tiny.lines(folder, "samples.jsonl")] == [2, 3]
    validated = [line["step"] for line in tiny.lines(folder, "metrics.jsonl") if "validation_loss" in line]
    per_epoch = validated[-1] // 3
    assert set(range(4, validated[-1], 4)) | {per_epoch, 2 * per_epoch, 3 * per_epoch} == set(validated)


# ── the same gradient however the batch is cut ────────────────────────────────────────────────────────


def test_accumulation_changes_nothing(folder):
    """1×8, 2×4, 4×2, 8×1 rows: the last row of the shards is ragged, so a mean of means would differ."""
    exact = {"model": {"dropout": 0.0}, "train": {"max_steps": 14, "learning_rate": 0.003}}
    measured = []
    for size in (8, 4, 2, 1):
        cut = {"train": {"batch_size": size, "gradient_accumulation_steps": 8 // size}}
        tiny.run_training(folder, tiny.merged(exact, cut), f"by_{size}")
        lines = [line for line in tiny.lines(folder, "metrics.jsonl", f"by_{size}") if "loss" in line]
        measured.append([(line["loss"], line["gradient_norm"]) for line in lines])
    assert len(measured[0]) == 14
    for other in measured[1:]:
        for (loss, norm), (same_loss, same_norm) in zip(measured[0], other, strict=True):
            assert loss == pytest.approx(same_loss, abs=1e-5)
            assert norm == pytest.approx(same_norm, rel=1e-4)


def test_reading_the_device_only_when_logging_gives_the_same_weights(folder, monkeypatch):
    """CUDA's way, on the CPU: the update is skipped inside the fused optimizer, the host reads later."""
    changes = {"train": {"log_every_steps": 4, "max_skipped_steps": 1000, "max_steps": 16}}
    tiny.run_training(folder, changes, "each")
    original = assembly.StepRunner

    def deferred(*arguments, **keywords):
        return original(*arguments, **keywords, reads_every_step=False)

    monkeypatch.setattr(assembly, "StepRunner", deferred)
    monkeypatch.setattr(loop.Ladder, "norm_limit", 1.0)
    tiny.run_training(folder, changes, "late")
    monkeypatch.setattr(assembly, "StepRunner", original)
    tiny.run_training(folder, changes, "at_once")
    assert tiny.lines(folder, "skipped_batches.jsonl", "late")
    assert tiny.same_bits(tiny.final_weights(folder, "late"), tiny.final_weights(folder, "at_once"))
    assert not tiny.same_bits(tiny.final_weights(folder, "late"), tiny.final_weights(folder, "each"))


# ── going on ──────────────────────────────────────────────────────────────────────────────────────────


def stop_after(context, step):
    def listen(event):
        if event.name == "training_orchestrator.step_complete.v1" and event.data["step"] == step:
            context.stop.request("SIGTERM")

    context.bus.subscribe(listen)


@pytest.mark.parametrize(
    ("family", "optimizer"),
    [("transformer", "adamw"), ("transformer", "muon"), ("transformer", "sgd"), ("lstm", "adam"), ("gru", "adamw")],
)
def test_stopped_and_resumed_is_bit_identical(folder, family, optimizer):
    changes = {"model": {"family": family, "num_layers": 2}, "train": {"epochs": 1, "max_steps": 9}}
    changes["train"]["optimizer"] = {"name": optimizer, "muon_max_overhead": 10}
    tiny.run_training(folder, changes, "straight")
    context = tiny.make_context(folder, changes, "stopped")
    stop_after(context, 5)
    with pytest.raises(Interrupted, match="stopped by SIGTERM after step 5 of 9; everything is saved") as caught:
        train(context)
    assert "--resume auto" in caught.value.remedy
    assert steps_of(folder, "stopped")[0] == 5
    tiny.run_training(folder, changes, "stopped")
    assert tiny.same_bits(tiny.final_weights(folder, "straight"), tiny.final_weights(folder, "stopped"))


def test_a_finished_run_is_not_trained_again(folder):
    tiny.run_training(folder)
    before = tiny.final_weights(folder)
    shutil.rmtree(folder / "runs" / "run" / "final")
    result, events = tiny.run_training(folder)
    assert "training_orchestrator.step_complete.v1" not in names(events)
    assert tiny.same_bits(before, tiny.final_weights(folder))
    assert result.facts["steps"] == 26


def test_changed_settings_are_said_and_counted_as_patch(folder):
    tiny.run_training(folder, {"train": {"max_steps": 4}})
    result, events = tiny.run_training(folder, {"train": {"max_steps": 6, "learning_rate": 0.001}})
    assert result.facts["version"] == "1.0.1"
    message = data_of(events, "training_orchestrator.resumed.v1")[0]["message"]
    assert "going on from checkpoint 00000004" in message
    assert "train.learning_rate: 0.01 → 0.001" in message


def test_another_optimizer_starts_without_state_and_says_so(folder):
    tiny.run_training(folder, {"train": {"max_steps": 4}})
    _, events = tiny.run_training(folder, {"train": {"max_steps": 6, "optimizer": {"name": "sgd"}}})
    assert "the new optimizer starts without state" in data_of(events, "training_orchestrator.resumed.v1")[0]["message"]


def test_a_plan_that_cannot_be_kept_is_said(folder):
    tiny.run_training(folder, {"train": {"max_steps": 4}})
    _, events = tiny.run_training(folder, {"train": {"max_steps": 6}, "compute": {"threads": 2}})
    torch.set_num_threads(1)
    message = data_of(events, "training_orchestrator.plan_changed.v1")[0]["message"]
    assert message == "not bit-identical to an uninterrupted run from here on: threads 1 → 2"


@pytest.mark.parametrize("harm", ["flip", "truncate"])
def test_a_damaged_newest_checkpoint_falls_back_to_the_same_end(folder, harm):
    changes = {"train": {"max_steps": 8}}
    tiny.run_training(folder, changes, "straight")
    tiny.run_training(folder, changes)
    newest = checkpoints.list_checkpoints(folder / "runs" / "run")[0] / "optimizer.safetensors"
    data = newest.read_bytes()
    newest.write_bytes(data[:-1] if harm == "truncate" else data[:-1] + bytes([data[-1] ^ 1]))
    _, events = tiny.run_training(folder, changes)
    message = data_of(events, "model_checkpointer.checkpoint_quarantined.v1")[0]["message"]
    assert "optimizer.safetensors" in message
    assert "quarantine" in message
    assert data_of(events, "training_orchestrator.resumed.v1")[0]["step"] == 6
    assert tiny.same_bits(tiny.final_weights(folder, "straight"), tiny.final_weights(folder))
    assert len(tiny.lines(folder, "metrics.jsonl")) == len(tiny.lines(folder, "metrics.jsonl", "straight"))


@pytest.mark.parametrize(
    ("changes", "code", "message"),
    [
        (
            {"model": {"d_model": 32}},
            ErrorCode.CHECKPOINT_INCOMPATIBLE,
            "another architecture: d_model is 16 there and 32",
        ),
        ({"seed": 8}, ErrorCode.CHECKPOINT_INCOMPATIBLE, "made with seed 7, the recipe says 8"),
        (
            {"train": {"batch_size": 4}},
            ErrorCode.CHECKPOINT_INCOMPATIBLE,
            "made with 8 rows per step, the recipe gives 4",
        ),
    ],
)
def test_what_cannot_go_on_is_refused_and_nothing_is_lost(folder, changes, code, message):
    tiny.run_training(folder, {"train": {"max_steps": 3}})
    before = steps_of(folder)
    with pytest.raises(DataError, match=message) as caught:
        tiny.run_training(folder, changes)
    assert caught.value.code is code
    assert "--resume never" in caught.value.remedy
    assert steps_of(folder) == before


def test_other_data_and_other_vocabulary_are_refused(folder):
    tiny.run_training(folder, {"train": {"max_steps": 3}})
    (folder / "shards").unlink()
    tiny.make_shards(folder / "shards", folder / "tokenizer", tiny.sentences(50, seed=9))
    with pytest.raises(DataError, match="trained on other data: digest of the token shards") as caught:
        tiny.run_training(folder)
    assert caught.value.code is ErrorCode.DATA_CHANGED
    config = checkpoints.list_checkpoints(folder / "runs" / "run")[0] / "config.json"
    text = json.loads(config.read_text())
    text["vocab_size"] += 1
    config.write_text(json.dumps(text))
    write_manifest(config.parent, "checkpoint")
    with pytest.raises(DataError, match="another vocabulary: vocab_size is") as caught:
        tiny.run_training(folder)
    assert caught.value.code is ErrorCode.CHECKPOINT_INCOMPATIBLE


# ── the ladder ────────────────────────────────────────────────────────────────────────────────────────


def poison(monkeypatch, bad_steps, once=False):
    """Make the loss of some steps NaN, as a bad batch or a wild update would."""
    original = assembly.StepRunner.loss_sum
    seen = []

    def loss_sum(self, batch, bus=None):
        loss = original(self, batch, bus)
        if self.model.training and self.at_step in bad_steps and not (once and self.at_step in seen):
            seen.append(self.at_step)
            return loss * float("nan")
        return loss

    gradients = assembly.StepRunner.gradients

    def with_step(self, loaded, limit, bus=None):
        self.at_step = loaded.plan.step
        return gradients(self, loaded, limit, bus)

    monkeypatch.setattr(assembly.StepRunner, "gradients", with_step)
    monkeypatch.setattr(assembly.StepRunner, "loss_sum", loss_sum)


def test_a_bad_batch_is_skipped_and_recorded_with_its_rows(folder, monkeypatch):
    poison(monkeypatch, {4})
    result, events = tiny.run_training(folder, {"train": {"max_steps": 8}})
    assert result.facts["skipped_steps"] == 1
    (line,) = tiny.lines(folder, "skipped_batches.jsonl")
    assert (line["step"], line["reason"], len(line["rows"])) == (5, "NAN_LOSS", 8)
    assert data_of(events, "training_orchestrator.batch_skipped.v1")[0]["step"] == 4
    assert all(bool(torch.isfinite(tensor).all()) for tensor in tiny.final_weights(folder).values())


def test_too_many_roll_back_and_the_range_is_passed_over(folder, monkeypatch):
    poison(monkeypatch, {7, 8})
    changes = {"train": {"max_steps": 12, "max_skipped_steps": 1}}
    result, events = tiny.run_training(folder, changes)
    assert (result.facts["steps"], result.facts["rollbacks"]) == (12, 1)
    back = data_of(events, "training_orchestrator.rolled_back.v1")
    assert [(event["skipped_from"], event["skipped_to"]) for event in back] == [(6, 8)]
    skipped = tiny.lines(folder, "skipped_batches.jsonl")
    assert [(line["step"], line["reason"]) for line in skipped] == [
        (step, "inside a range that was rolled back") for step in (7, 8, 9)
    ]
    steps = [line["step"] for line in tiny.lines(folder, "metrics.jsonl") if "loss" in line]
    assert steps == [*range(1, 7), 10, 11, 12]


def test_a_roll_back_survives_a_stop_in_its_middle(folder, monkeypatch):
    poison(monkeypatch, {7, 8})
    changes = {"train": {"max_steps": 12, "max_skipped_steps": 1}}
    tiny.run_training(folder, changes, "straight")
    for step in (5, 6, 10, 11):
        context = tiny.make_context(folder, changes, "stopped")
        stop_after(context, step)
        with pytest.raises(Interrupted, match=f"after step {step} of 12"):
            train(context)
    tiny.run_training(folder, changes, "stopped")
    assert tiny.same_bits(tiny.final_weights(folder, "straight"), tiny.final_weights(folder, "stopped"))


def test_the_end_of_the_ladder_names_step_and_epoch_and_keeps_a_good_checkpoint(folder, monkeypatch):
    poison(monkeypatch, set(range(5, 500)))
    with pytest.raises(
        ProofError, match=r"the loss is not a number at step \d+ \(epoch \d\): 1 skipped steps and 2 roll-backs"
    ) as caught:
        tiny.run_training(folder, {"train": {"max_skipped_steps": 1}})
    assert caught.value.code is ErrorCode.NAN_LOSS
    assert caught.value.details["recoverable"] is True
    found = checkpoints.newest_valid(folder / "runs" / "run", lambda place, why: None)
    assert found is not None
    weights = load_file(found.directory / "model.safetensors")
    assert all(bool(torch.isfinite(tensor).all()) for tensor in weights.values())


def test_weights_that_are_not_finite_are_never_saved(folder, monkeypatch):
    """A wild update that leaves infinities behind: the checkpoint is refused, the ladder goes back before it."""
    original = assembly.StepRunner.update

    def update(self, outcome, factor, bus=None):
        original(self, outcome, factor, bus)
        if self.at_step == 5:
            with torch.no_grad():
                next(self.model.parameters()).fill_(float("nan"))

    poison(monkeypatch, set())
    monkeypatch.setattr(assembly.StepRunner, "update", update)
    result, events = tiny.run_training(folder, {"train": {"max_steps": 12, "max_skipped_steps": 1}})
    refused = data_of(events, "model_checkpointer.checkpoint_refused.v1")
    assert [event["step"] for event in refused] == [6]
    assert result.facts["rollbacks"] == 1
    assert [event["step"] for event in data_of(events, "training_orchestrator.rolled_back.v1")] == [3]


def test_final_weights_that_are_not_finite_are_refused(tmp_path):
    checkpointer = checkpoint.Checkpointer(tmp_path, {}, lambda place, weights: None, keep=1, bus=tiny.EventBus())
    with pytest.raises(ProofError, match="final model was not saved: w has a NaN") as caught:
        checkpointer.write_final({"w": torch.tensor([1.0, math.inf])}, {}, {})
    assert caught.value.code is ErrorCode.NAN_DETECTED
    assert not (tmp_path / "final").exists()
    checkpointer.close()


def test_a_wild_learning_rate_climbs_the_ladder(folder):
    changes = {
        "train": {
            "optimizer": {"name": "sgd", "weight_decay": 10.0},
            "learning_rate": 1.0,
            "gradient_clip_norm": None,
            "epochs": 40,
            "schedule": {"name": "constant", "warmup_fraction": 0.0},
            "max_skipped_steps": 1,
            "max_rollbacks": 1,
        }
    }
    with pytest.raises(ProofError, match="did not help") as caught:
        tiny.run_training(folder, changes)
    assert caught.value.code in (ErrorCode.NAN_LOSS, ErrorCode.GRADIENT_EXPLOSION)


def test_early_stopping_ends_the_run(folder):
    changes = {"train": {"epochs": 30, "early_stopping_patience": 2, "early_stopping_min_delta": 5.0}}
    result, _ = tiny.run_training(folder, changes)
    assert result.facts["epochs"] == 3
    again, events = tiny.run_training(folder, changes)
    assert again.facts["steps"] == result.facts["steps"]
    assert "training_orchestrator.step_complete.v1" not in names(events)


# ── what the machine lacks ────────────────────────────────────────────────────────────────────────────


def test_out_of_memory_says_what_grew_and_what_to_set(folder, monkeypatch):
    def refuse(self, loaded, limit, bus=None):
        raise RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes.")

    monkeypatch.setattr(assembly.StepRunner, "gradients", refuse)
    with pytest.raises(ResourceError, match="out of memory at step 0; the largest part is") as caught:
        tiny.run_training(folder, {"train": {"batch_size": 8, "gradient_accumulation_steps": 3}})
    assert caught.value.code is ErrorCode.OOM
    assert "train.batch_size: 4 and train.gradient_accumulation_steps: 6 (the same 24 rows per step)" in (
        caught.value.remedy
    )


def test_a_write_that_fails_in_the_background_stops_the_next_step(folder, monkeypatch):
    original = checkpoint.write_safetensors

    def full(path, tensors):
        if "00000006" in str(path):
            raise OSError(28, "No space left on device")
        original(path, tensors)

    monkeypatch.setattr(checkpoint, "write_safetensors", full)
    with pytest.raises(ResourceError, match="no space left on the file system") as caught:
        tiny.run_training(folder)
    assert caught.value.code is ErrorCode.DISK_FULL
    assert "the last good checkpoint is" in caught.value.message
    assert caught.value.message.endswith("00000003")
    assert caught.value.retryable
    monkeypatch.setattr(checkpoint, "write_safetensors", original)
    tiny.run_training(folder)
    tiny.run_training(folder, run="straight")
    assert tiny.same_bits(tiny.final_weights(folder, "straight"), tiny.final_weights(folder))


def test_disk_full_in_the_middle_of_a_checkpoint_on_a_real_small_disk(folder, tmp_path):
    """A tmpfs of 400 kB: room for some checkpoints, not for the next one."""
    disk = tmp_path / "runs"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=400k", "tmpfs", str(disk)], capture_output=True, check=False
    )
    if mounted.returncode != 0:
        pytest.skip(f"mounting a small tmpfs needs rights: {mounted.stderr.decode().strip()}")
    try:
        changes = {"train": {"keep_checkpoints": 1000, "checkpoint_every_steps": 1}}
        with pytest.raises(ResourceError, match="no space left on the file system") as caught:
            tiny.run_training(folder, changes)
        assert caught.value.code is ErrorCode.DISK_FULL
        run = disk / "run"
        assert not [path for path in run.rglob("*") if path.name.startswith(".tmp-")]
        found = checkpoints.newest_valid(run, lambda place, why: pytest.fail(why))
        assert found is not None
        subprocess.run(["mount", "-o", "remount,size=40m", str(disk)], check=True)
        tiny.run_training(folder, changes)
        tiny.run_training(folder, changes, "straight")
        assert tiny.same_bits(tiny.final_weights(folder, "straight"), tiny.final_weights(folder))
    finally:
        subprocess.run(["umount", str(disk)], check=True)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_run_folder_without_permission_is_named(folder):
    tiny.run_training(folder, {"train": {"max_steps": 3}})
    place = folder / "runs" / "run" / "checkpoints"
    place.chmod(0o500)
    try:
        with pytest.raises(ResourceError, match="no permission to write") as caught:
            tiny.run_training(folder, {"train": {"max_steps": 6}})
    finally:
        place.chmod(0o700)
    assert caught.value.code is ErrorCode.WRITE_PERMISSION


def test_a_run_folder_that_cannot_be_written_is_named(folder):
    run = folder / "runs" / "run"
    run.parent.mkdir()
    run.mkdir()
    (run / "checkpoints").write_text("in the way")
    with pytest.raises(ResourceError, match="the checkpoint could not be written: writing .* failed"):
        tiny.run_training(folder)
