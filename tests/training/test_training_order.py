"""Order as a function: a bijection, keyed by everything it should be, uniform, and frozen by golden values."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loquela.core.errors import ErrorCode, InternalError
from loquela.training.order import COUNT_MAX, example_index, example_indices


def all_of(count, digest="d", seed=1, epoch=0):
    return example_indices(digest, seed, epoch, np.arange(count), count)


def test_is_a_bijection_for_every_small_count():
    for count in range(1, 2001):
        assert np.bincount(all_of(count), minlength=count).tolist() == [1] * count, count


@settings(max_examples=20, deadline=None)
@given(count=st.integers(2001, 300_000), seed=st.integers(0, 2**31 - 1), epoch=st.integers(0, 10_000))
def test_is_a_bijection_for_large_counts(count, seed, epoch):
    assert np.bincount(all_of(count, "x", seed, epoch), minlength=count).max() == 1


@settings(max_examples=60, deadline=None)
@given(
    digest=st.text(max_size=20),
    seed=st.integers(0, 2**31 - 1),
    epoch=st.integers(0, 2**31),
    count=st.integers(1, COUNT_MAX),
    data=st.data(),
)
def test_scalar_and_vector_agree(digest, seed, epoch, count, data):
    places = data.draw(st.lists(st.integers(0, count - 1), min_size=1, max_size=8))
    scalar = [example_index(digest, seed, epoch, place, count) for place in places]
    vector = example_indices(digest, seed, epoch, np.array(places, dtype=np.int64), count)
    assert vector.dtype == np.int64
    assert vector.tolist() == scalar
    assert all(0 <= index < count for index in scalar)


def test_golden_values():
    """Any change here changes the order of every run: raise ORDER_VERSION with it."""
    assert [example_index("abc", 1337, 0, place, 10) for place in range(10)] == [2, 9, 7, 1, 3, 4, 5, 8, 6, 0]
    assert [example_index("abc", 1337, 1, place, 10) for place in range(10)] == [0, 6, 4, 2, 9, 7, 3, 5, 8, 1]
    far = [example_index("abc", 1337, 0, place, 10**12) for place in (0, 1, 2, 10**12 - 1)]
    assert far == [371357973923, 372481360216, 600321867928, 128097975283]


def test_every_key_changes_the_order():
    base = all_of(1000).tolist()
    assert base == all_of(1000).tolist()
    for other in (all_of(1000, digest="e"), all_of(1000, seed=2), all_of(1000, epoch=1)):
        # Two independent permutations agree in one place on average.
        assert np.count_nonzero(other == base) < 8


def test_looks_uniform():
    """Where example 0..9 of 10 lands over 4000 epochs: chi-square with 9 degrees of freedom, 99.99 % at 33.7."""
    counts = np.zeros((10, 10))
    for epoch in range(4000):
        counts[np.arange(10), all_of(10, epoch=epoch)] += 1
    assert (((counts - 400) ** 2) / 400).sum(axis=1).max() < 33.7


def test_neighbours_are_scattered():
    order = all_of(100_000)
    steps = np.diff(order)
    assert abs(np.corrcoef(order[:-1], order[1:])[0, 1]) < 0.02
    # |x - y| of two uniform draws has mean count / 3.
    assert abs(np.abs(steps).mean() / 100_000 - 1 / 3) < 0.01
    assert abs(np.count_nonzero(order < np.arange(100_000)) / 100_000 - 0.5) < 0.01


def test_empty_request_is_empty():
    assert example_indices("d", 1, 0, np.array([], dtype=np.int64), 5).tolist() == []


@pytest.mark.parametrize("place", [-1, 5])
def test_a_place_outside_is_refused(place):
    with pytest.raises(InternalError, match=f"place {place} is outside an epoch of 5 examples") as caught:
        example_index("d", 1, 0, place, 5)
    assert caught.value.code is ErrorCode.INTERNAL
    with pytest.raises(InternalError, match=f"place {place} is outside an epoch of 5 examples"):
        example_indices("d", 1, 0, np.array([0, place]), 5)


@pytest.mark.parametrize("count", [0, -3, COUNT_MAX + 1])
def test_an_impossible_count_is_refused(count):
    with pytest.raises(InternalError, match=f"no order exists for {count} examples"):
        example_index("d", 1, 0, 0, count)
