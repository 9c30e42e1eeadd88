"""Rows: every token but the first is a target exactly once; the last row is padded and says so."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loquela.artifacts.manifest import write_manifest
from loquela.artifacts.shards import ShardsFacts, ShardWriter, TokenShards, dtype_name
from loquela.core.errors import DataError, ErrorCode
from loquela.training.rows import IGNORED, Rows


class Stream:
    """Tokens in memory."""

    def __init__(self, tokens, eos_id=3):
        self.tokens = np.array(tokens, dtype=np.int64)
        self.eos_id = eos_id

    @property
    def tokens_total(self):
        return self.tokens.size

    def read(self, start, stop):
        return self.tokens[start:stop]


def test_golden_rows():
    rows = Rows(Stream([10, 11, 12, 13, 14, 15, 16]), context=4)
    assert rows.count == 2
    assert rows.label_tokens_total == 6
    tokens, targets = rows.row(0)
    assert tokens.tolist() == [10, 11, 12, 13]
    assert targets.tolist() == [11, 12, 13, 14]
    tokens, targets = rows.row(1)
    assert tokens.tolist() == [14, 15, 16, 3]
    assert targets.tolist() == [15, 16, IGNORED, IGNORED]


@settings(max_examples=100, deadline=None)
@given(total=st.integers(2, 200), context=st.integers(1, 50))
def test_every_token_is_a_target_once(total, context):
    rows = Rows(Stream(range(total)), context)
    everything = np.arange(rows.count)
    _, targets = rows.batch(everything)
    assert targets[targets != IGNORED].tolist() == list(range(1, total))
    assert rows.label_tokens(everything) == rows.label_tokens_total == total - 1


@settings(max_examples=100, deadline=None)
@given(total=st.integers(2, 200), context=st.integers(1, 50), data=st.data())
def test_label_tokens_are_counted_without_reading(total, context, data):
    rows = Rows(Stream(range(total)), context)
    chosen = np.array(data.draw(st.lists(st.integers(0, rows.count - 1), max_size=6)), dtype=np.int64)
    tokens, targets = rows.batch(chosen)
    assert tokens.shape == targets.shape == (chosen.size, context)
    assert rows.label_tokens(chosen) == np.count_nonzero(targets != IGNORED)


def test_batch_keeps_the_order_asked_for():
    rows = Rows(Stream(range(20)), context=4)
    tokens, _ = rows.batch(np.array([3, 0, 2]))
    assert tokens[:, 0].tolist() == [12, 0, 8]


def test_rows_of_real_shards(tmp_path):
    with ShardWriter(tmp_path, "train", 50, 6) as writer:
        for document in ([4, 5, 6], [7, 8, 9, 10], [11]):
            writer.write(document, text_bytes=len(document))
    facts = ShardsFacts(vocab_size=50, dtype=dtype_name(50), eos_id=3, splits={"train": writer.facts})
    write_manifest(tmp_path, "shards", facts=facts.model_dump(mode="json"))
    rows = Rows(TokenShards(tmp_path, "train"), context=4)
    tokens, targets = rows.batch(np.arange(rows.count))
    assert tokens.tolist() == [[4, 5, 6, 3], [7, 8, 9, 10], [3, 11, 3, 3]]
    assert targets.tolist() == [[5, 6, 3, 7], [8, 9, 10, 3], [11, 3, IGNORED, IGNORED]]


@pytest.mark.parametrize("total", [0, 1])
def test_too_few_tokens_are_refused(total):
    with pytest.raises(DataError, match=f"the token stream has {total} tokens; a row needs at least two") as caught:
        Rows(Stream(range(total)), 4)
    assert caught.value.code is ErrorCode.INSUFFICIENT_DATA


def test_a_row_that_does_not_exist_is_refused():
    with pytest.raises(DataError, match="row 5 of the token shards cannot be used: there are 5 rows") as caught:
        Rows(Stream(range(20)), 4).row(5)
    assert caught.value.code is ErrorCode.CORRUPT_DATA


def test_a_short_read_is_refused():
    stream = Stream(range(20))
    rows = Rows(stream, 4)
    stream.read = lambda start, stop: stream.tokens[start : stop - 1]
    with pytest.raises(DataError, match=r"row 1 .*4 tokens came where \[4, 9\) was asked"):
        rows.row(1)
