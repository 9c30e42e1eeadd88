"""The loader: a pure function of the step, elastic over ranks and accumulation, ordered under prefetch."""

import threading

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from loquela.artifacts.manifest import write_manifest
from loquela.artifacts.shards import ShardsFacts, ShardWriter, dtype_name
from loquela.core.errors import DataError, ErrorCode, ResourceError
from loquela.monitoring.events import EventBus
from loquela.training.contracts import DataLoaderRequest
from loquela.training.loader import BatchLoader, LoaderSettings, open_loader
from loquela.training.rows import IGNORED, Rows
from waiting import until


class Stream:
    """Tokens 0..total-1 in memory; reading the place `bad` raises `error`."""

    def __init__(self, total, bad=None, error=None):
        self.tokens_total = total
        self.eos_id = 3
        self.bad = bad
        self.error = error

    def read(self, start, stop):
        if self.bad is not None and start <= self.bad < stop - 1:
            raise self.error
        return np.arange(start, stop)


def loader(total=101, context=4, digest="d", seed=7, bus=None, stream=None, **settings):
    return BatchLoader(Rows(stream or Stream(total), context), digest, seed, LoaderSettings(**settings), bus)


def rows_of(batches):
    return [row for batch in batches for row in batch.rows]


def test_an_epoch_sees_every_row_once_and_keeps_the_short_last_batch():
    small = loader(batch_size=4, accumulation=2)  # 25 rows, 8 a step
    assert small.steps_per_epoch == 4
    sizes = [len(rows_of(small.micro_batches(step))) for step in range(4)]
    assert sizes == [8, 8, 8, 1]
    for epoch in range(3):
        seen = [row for step in range(4) for row in rows_of(small.micro_batches(4 * epoch + step))]
        assert sorted(seen) == list(range(25))
    assert small.plan(3).epoch == 0
    assert small.plan(4).epoch == 1


def test_a_batch_holds_the_rows_it_names():
    (batch,) = loader(total=12, context=4, batch_size=3).micro_batches(0)
    assert batch.tokens.dtype == batch.targets.dtype == torch.int64
    assert batch.tokens[:, 0].tolist() == [4 * row for row in batch.rows]
    assert batch.label_tokens == int((batch.targets != IGNORED).sum()) == 11


@settings(max_examples=60, deadline=None)
@given(
    total=st.integers(2, 400),
    global_rows=st.sampled_from([1, 2, 4, 8, 12]),
    world_size=st.integers(1, 5),
    step=st.integers(0, 300),
    data=st.data(),
)
def test_is_elastic(total, global_rows, world_size, step, data):
    """Every way to cut a global batch gives the same rows in the same order and the same label tokens."""
    accumulation = data.draw(st.sampled_from([n for n in range(1, global_rows + 1) if global_rows % n == 0]))
    whole = loader(total, batch_size=global_rows).load(step)
    shares = [
        loader(
            total,
            batch_size=global_rows // accumulation,
            accumulation=accumulation,
            rank=rank,
            world_size=world_size,
        ).load(step)
        for rank in range(world_size)
    ]
    assert len({len(share.micro_batches) for share in shares}) == 1
    joined = [
        row
        for micro in zip(*(share.micro_batches for share in shares), strict=True)
        for batch in micro
        for row in batch.rows
    ]
    assert joined == rows_of(whole.micro_batches) == whole.plan.rows.tolist()
    counted = sum(batch.label_tokens for share in shares for batch in share.micro_batches)
    assert {share.plan.label_tokens for share in shares} == {counted} == {whole.plan.label_tokens}


def test_a_rank_may_get_no_row():
    shares = [loader(total=9, context=4, batch_size=8, rank=rank, world_size=4).micro_batches(0) for rank in range(4)]
    assert [len(rows_of(share)) for share in shares] == [0, 1, 0, 1]
    empty = shares[0][0]
    assert empty.tokens.shape == empty.targets.shape == (0, 4)
    assert empty.label_tokens == 0


def test_depends_on_digest_seed_and_epoch_and_can_be_left_in_order():
    def first(**changes):
        return rows_of(loader(total=1001, batch_size=50, **changes).micro_batches(0))

    assert first() == first()
    assert first() != first(digest="e")
    assert first() != first(seed=8)
    assert first(shuffle=False) == list(range(50))
    same = loader(total=1001, batch_size=50)
    assert rows_of(same.micro_batches(0)) != rows_of(same.micro_batches(same.steps_per_epoch))


@pytest.mark.parametrize("workers", [0, 1, 3])
def test_stream_gives_the_steps_in_order(workers):
    source = loader(batch_size=4, workers=workers)
    with source.stream(5, 19) as steps:
        streamed = list(steps)
    assert [batches.plan.step for batches in streamed] == list(range(5, 19))
    for batches in streamed:
        direct = source.load(batches.plan.step)
        assert rows_of(batches.micro_batches) == rows_of(direct.micro_batches)
        assert torch.equal(batches.micro_batches[0].tokens, direct.micro_batches[0].tokens)


def test_prefetch_reads_ahead_but_not_further_than_asked():
    source = loader(batch_size=4, workers=1, prefetch_factor=3)
    asked = []
    plan = source.plan
    source.plan = lambda step: (asked.append(step), plan(step))[1]
    with source.stream(0, 100) as steps:
        next(steps)
        until(lambda: len(asked) >= 4, every=0.01)
        assert asked == [0, 1, 2, 3]


def test_leaving_the_stream_ends_its_threads():
    source = loader(batch_size=1, workers=2)
    with source.stream(0, 10_000) as steps:
        next(steps)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("loquela-loader")]


@pytest.mark.parametrize("workers", [0, 2])
def test_damaged_data_is_reported_with_its_step_after_the_good_ones(workers):
    wrong = DataError(ErrorCode.CORRUPT_DATA, "id 99 is outside", "delete it", details={"position": 41})
    source = loader(batch_size=5, shuffle=False, workers=workers, stream=Stream(101, bad=41, error=wrong))
    seen = []
    with (
        pytest.raises(DataError, match="the batch of step 2 is damaged: id 99 is outside") as caught,
        source.stream(0, 5) as steps,
    ):
        seen.extend(batches.plan.step for batches in steps)
    assert seen == [0, 1]
    assert caught.value.code is ErrorCode.CORRUPT_BATCH
    assert caught.value.details == {"position": 41, "batch_id": 2}
    assert caught.value.remedy == "delete it"


@pytest.mark.parametrize("workers", [0, 1])
def test_a_failed_read_is_a_worker_crash(workers):
    stream = Stream(101, bad=0, error=OSError(5, "Input/output error"))
    source = loader(batch_size=5, shuffle=False, workers=workers, stream=stream)
    with (
        pytest.raises(ResourceError, match=r"loading the batch of step 0 failed: OSError: .*Input/output") as caught,
        source.stream(0, 5) as steps,
    ):
        next(steps)
    assert caught.value.code is ErrorCode.WORKER_CRASH
    assert caught.value.details == {"batch_id": 0}


def test_trace_points_are_published_on_log_steps_only():
    bus = EventBus()
    events = []
    bus.subscribe(events.append)
    source = loader(batch_size=5, workers=1, bus=bus)
    with source.stream(0, 5, is_logged=lambda step: step % 2 == 0) as steps:
        list(steps)
    names = [event.name for event in events]
    assert (
        names
        == ["data_loader.loader_initialized.v1", "data_loader.prefetch_started.v1"]
        + ["data_loader.batch_loaded.v1"] * 3
    )
    assert events[0].data == {"rows": 25, "steps_per_epoch": 5, "batch_size": 5, "world_size": 1}
    assert [event.data["step"] for event in events[2:]] == [0, 2, 4]


def write_shards(directory, documents=40):
    with ShardWriter(directory, "train", 50) as writer:
        for number in range(documents):
            writer.write([5 + number % 40] * 4, text_bytes=4)
    facts = ShardsFacts(vocab_size=50, dtype=dtype_name(50), eos_id=3, splits={"train": writer.facts})
    write_manifest(directory, "shards", facts=facts.model_dump(mode="json"))


def test_the_component_opens_shards(tmp_path):
    write_shards(tmp_path)  # 200 tokens: 25 rows of 8
    request = DataLoaderRequest(dataset_path=str(tmp_path), batch_size=10, num_workers=1)
    result = open_loader(request, context=8, seed=1)
    assert result.num_batches == 3
    assert result.estimated_time_per_epoch_seconds > 0
    steps = list(result.batch_iterator)
    assert sorted(row for batches in steps for row in rows_of(batches.micro_batches)) == list(range(25))


def test_the_component_reports_missing_shards(tmp_path):
    with pytest.raises(DataError, match="no shards in") as caught:
        open_loader(DataLoaderRequest(dataset_path=str(tmp_path / "no"), batch_size=1), context=8, seed=1)
    assert caught.value.code is ErrorCode.DATASET_NOT_FOUND


@pytest.mark.skipif(not torch.cuda.is_available(), reason="pinned memory needs CUDA")
def test_pins_memory_when_asked():
    (batch,) = loader(batch_size=5, pin_memory=True).micro_batches(0)
    assert batch.tokens.is_pinned()
