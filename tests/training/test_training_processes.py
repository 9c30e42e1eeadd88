"""Several processes train as one: the same order, the same losses, and one that writes."""

import shutil
import signal
import sys
import time

import pytest
import tiny_training as tiny
import torch
from torch import nn

from loquela.artifacts.checkpoints import list_checkpoints
from loquela.core.errors import ErrorCode, Interrupted, ResourceError
from loquela.training import launch
from loquela.training.distributed import Group, buckets, checksum
from loquela.training.launch import Tail, command
from loquela.training.memory import smaller_batch
from loquela.training.stage import train
from waiting import until

EXACT = {"model": {"dropout": 0.0}, "train": {"max_steps": 14, "learning_rate": 0.003, "checkpoint_every_steps": 4}}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("processes")
    tiny.make_inputs(folder)
    tiny.run_training(folder, EXACT, "one")
    return folder


def losses(folder, run):
    return {line["step"]: line["loss"] for line in tiny.lines(folder, "metrics.jsonl", run) if "loss" in line}


def rows_seen(folder, run):
    """Rows of each step, those of rank 0 before those of rank 1."""
    found = {}
    for line in sorted(tiny.lines(folder, "seen.jsonl", run), key=lambda line: line["rank"]):
        found.setdefault(line["step"], []).extend(line["rows"])
    return found


def test_two_ranks_of_four_rows_are_one_of_eight(folder):
    assert tiny.train_in_ranks(folder, EXACT, "two", 2) == [0, 0]
    alone, together = losses(folder, "one"), losses(folder, "two")
    assert alone.keys() == together.keys()
    for step, loss in alone.items():
        assert together[step] == pytest.approx(loss, abs=1e-5)


def test_from_one_to_two_to_one_process_with_the_same_order(folder):
    """The order of examples is checked as the rows that every rank really read."""
    for stop, world in ((5, 1), (10, 2), (14, 1)):
        changes = tiny.merged(EXACT, {"train": {"max_steps": stop, "schedule": {"name": "constant"}}})
        assert tiny.train_in_ranks(folder, changes, "elastic", world) == [0] * world
    changes = tiny.merged(EXACT, {"train": {"schedule": {"name": "constant"}}})
    assert tiny.train_in_ranks(folder, changes, "straight", 1) == [0]
    # A constant schedule, because each part of the elastic run has its own number of steps.
    alone, elastic = losses(folder, "straight"), losses(folder, "elastic")
    assert list(alone) == list(elastic) == list(range(1, 15))
    for step, loss in alone.items():
        assert elastic[step] == pytest.approx(loss, abs=1e-5)
    order = [rows for _, rows in sorted(rows_seen(folder, "straight").items())]
    assert sorted(row for rows in order[:13] for row in rows) == list(range(sum(len(rows) for rows in order[:13])))
    assert rows_seen(folder, "elastic") == rows_seen(folder, "straight")


def test_two_ranks_killed_and_resumed_are_bit_identical_to_two_that_were_not(folder):
    changes = tiny.merged(EXACT, {"train": {"max_steps": 9}})
    assert tiny.train_in_ranks(folder, changes, "pair", 2) == [0, 0]
    children = tiny.start_ranks(folder, changes, "killed", 2)
    metrics = folder / "runs" / "killed" / "metrics.jsonl"
    until(lambda: metrics.exists() and len(losses(folder, "killed")) >= 5, every=0.005)
    for child in children:
        child.kill()
    assert [tiny.finish(child) for child in children] == [-signal.SIGKILL] * 2
    assert tiny.train_in_ranks(folder, changes, "killed", 2) == [0, 0]
    assert tiny.same_bits(tiny.final_weights(folder, "pair"), tiny.final_weights(folder, "killed"))


def test_a_rank_that_loses_its_peer_says_so(folder):
    first, second = tiny.start_ranks(
        folder, tiny.merged(EXACT, {"train": {"epochs": 500, "max_steps": None}}), "lost", 2
    )
    metrics = folder / "runs" / "lost" / "metrics.jsonl"
    until(metrics.exists, every=0.005)
    second.kill()
    assert tiny.finish(second) == -signal.SIGKILL
    assert tiny.finish(first) == ResourceError.exit_code
    assert "another process of this training is gone" in (folder / "runs" / "lost" / "error.json").read_text()


def test_one_rank_with_a_broken_loss_makes_all_of_them_climb_the_same_ladder(folder):
    changes = tiny.merged(EXACT, {"train": {"max_steps": 12, "max_skipped_steps": 1}})
    poisoned = {"TINY_POISONED_RANK": "1", "TINY_POISONED_STEPS": "2,9,10"}
    children = tiny.start_ranks(folder, changes, "broken", 2, poisoned)
    assert [tiny.finish(child) for child in children] == [0, 0]
    skipped = [(line["step"], line["reason"]) for line in tiny.lines(folder, "skipped_batches.jsonl", "broken")]
    passed_over = "inside a range that was rolled back"
    # Step 3 is skipped; 10 is the second within the window, and the checkpoint before step 3 is the first one: so
    # the run goes back there and passes over 1 to 10. Then 11 is skipped for what it is.
    assert skipped == [*((step, passed_over) for step in range(1, 11)), (11, "NAN_LOSS")]
    assert all(bool(torch.isfinite(tensor).all()) for tensor in tiny.final_weights(folder, "broken").values())


# ── torchrun ──────────────────────────────────────────────────────────────────────────────────────────


def test_the_command_line_is_torchrun_without_restarts(tmp_path):
    line = command(tmp_path / "job.json", 4)
    assert line[1:3] == ["-m", "torch.distributed.run"]
    assert {"--standalone", "--nproc-per-node=4", "--max-restarts=0"} <= set(line)


def test_a_launched_process_starts_with_its_own_threads_only(folder, monkeypatch):
    """The process prints what OpenMP and MKL would read; having no result, it is quoted in the error."""
    program = "import os; print('threads', os.environ['OMP_NUM_THREADS'], os.environ['MKL_NUM_THREADS'])"
    monkeypatch.setattr(launch, "command", lambda job, processes: [sys.executable, "-c", program])
    context = tiny.make_context(folder, {"compute": {"processes": 2, "threads": 3}}, "threads")
    with pytest.raises(ResourceError, match="ended without a result: threads 3 3") as caught:
        train(context)
    assert caught.value.code is ErrorCode.WORKER_CRASH


@pytest.mark.slow
def test_torchrun_trains_and_its_events_arrive_here(folder):
    result, events = tiny.run_training(folder, tiny.merged(EXACT, {"compute": {"processes": 2}}), "torchrun")
    assert result.facts["processes"] == 2
    seen = [event.data["step"] for event in events if event.name == "trainer.metrics.progress.v1"]
    assert seen == list(range(1, 15))
    for step, loss in losses(folder, "torchrun").items():
        assert loss == pytest.approx(losses(folder, "one")[step], abs=1e-5)
    assert not (folder / "runs" / "torchrun" / "processes").exists()


@pytest.mark.slow
def test_a_stop_request_reaches_the_processes_and_the_run_goes_on(folder):
    changes = tiny.merged(EXACT, {"compute": {"processes": 2}, "train": {"epochs": 200, "max_steps": 400}})
    context = tiny.make_context(folder, changes, "asked")
    context.bus.subscribe(
        lambda event: context.stop.request("SIGINT") if event.name == "trainer.metrics.progress.v1" else None
    )
    with pytest.raises(Interrupted, match="stopped by SIGINT after step") as caught:
        train(context)
    assert list_checkpoints(context.run_directory)[0].name == f"{caught.value.details['step']:08d}"


@pytest.mark.slow
def test_an_error_of_the_processes_comes_back_as_itself(folder):
    with pytest.raises(ResourceError, match="compute.device is mps") as caught:
        tiny.run_training(folder, tiny.merged(EXACT, {"compute": {"processes": 2, "device": "mps"}}), "error")
    assert caught.value.code is ErrorCode.INSUFFICIENT_RESOURCES


@pytest.mark.slow
def test_the_processes_end_with_the_one_that_launched_them(folder):
    changes = tiny.merged(EXACT, {"compute": {"processes": 2}, "train": {"epochs": 5000, "max_steps": None}})
    child = tiny.start(folder, changes, "orphans")
    metrics = folder / "runs" / "orphans" / "metrics.jsonl"
    until(metrics.exists)
    child.kill()
    tiny.finish(child)
    time.sleep(3)
    size = metrics.stat().st_size
    time.sleep(2)
    assert metrics.stat().st_size == size
    shutil.rmtree(folder / "runs" / "orphans")


# ── small parts ───────────────────────────────────────────────────────────────────────────────────────


def test_a_half_written_event_waits_for_its_end(tmp_path):
    bus = tiny.EventBus()
    events = []
    bus.subscribe(events.append)
    tail = Tail(tmp_path / "events.jsonl", bus)
    tail.publish_new()
    whole = tiny.Event(name="a.b.v1", data={"x": 1}).model_dump_json().encode() + b"\n"
    (tmp_path / "events.jsonl").write_bytes(whole + whole[:20])
    tail.publish_new()
    assert [event.data for event in events] == [{"x": 1}]
    with (tmp_path / "events.jsonl").open("ab") as stream:
        stream.write(whole[20:])
    tail.publish_new()
    assert len(events) == 2


def test_buckets_keep_order_type_and_size(monkeypatch):
    monkeypatch.setattr("loquela.training.distributed.BUCKET_ELEMENTS", 10)
    tensors = [torch.zeros(6), torch.zeros(4), torch.zeros(1), torch.zeros(30), torch.zeros(2, dtype=torch.float64)]
    assert [[tensor.numel() for tensor in bucket] for bucket in buckets(tensors)] == [[6, 4], [1], [30], [2]]


def test_a_checksum_sees_a_single_bit():
    values = torch.randn(1000)
    other = values.clone()
    other.view(torch.int32)[777] ^= 1
    assert checksum(values) == checksum(values.clone())
    assert checksum(values) != checksum(other)


def test_a_process_alone_agrees_with_itself():
    group = Group()
    model = nn.Linear(2, 2)
    group.sum_gradients(model.parameters())
    group.prove_equal(model)
    group.wait_for_all()
    assert group.leads
    assert group.any(True, False) == (True, False)
    assert group.from_leader(7) == 7
    assert group.minimum(torch.tensor(3.0)) == 3.0


@pytest.mark.parametrize(
    ("size", "accumulation", "expected"), [(8, 1, (4, 2)), (6, 2, (3, 4)), (5, 1, (1, 5)), (1, 4, None)]
)
def test_a_smaller_batch_keeps_the_rows_of_a_step(size, accumulation, expected):
    assert smaller_batch(size, accumulation) == expected
