"""The draw: a function of seed and source alone, each source's share, pairs together, no split left empty."""

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from loquela.data.corpus.split import Splitter, Unit, assign


@given(
    seed=st.integers(0, 2**31 - 1),
    count=st.integers(0, 300),
    validation=st.floats(0.01, 0.5),
    test=st.sampled_from([0.0, 0.05, 0.3]),
)
@settings(max_examples=80, deadline=None)
def test_every_source_gives_its_share(seed: int, count: int, validation: float, test: float) -> None:
    splitter = Splitter(seed, validation, test)
    drawn = [splitter.draw("a.txt") for _ in range(count)]
    held_out = count - drawn.count("train")
    assert abs(held_out - count * (validation + test)) <= 2
    assert abs(drawn.count("test") - count * test) <= 3
    again = Splitter(seed, validation, test)
    assert [again.draw("a.txt") for _ in range(count)] == drawn


def test_seed_and_source_change_the_draw() -> None:
    def drawn(seed: int, source: str) -> list[str]:
        splitter = Splitter(seed, 0.2, 0.1)
        return [splitter.draw(source) for _ in range(100)]

    assert drawn(1, "a") != drawn(2, "a")
    assert drawn(1, "a") != drawn(1, "b")


def test_places_are_drawn_not_regular() -> None:
    splitter = Splitter(5, 0.1, 0.0)
    places = [i for i in range(1000) if splitter.draw("a") == "validation"]
    assert len({place % 10 for place in places}) == 10


def test_strata_that_alternate_give_their_shares_as_if_alone() -> None:
    units = [Unit("en"), Unit("es")] * 200
    drawn = assign(units, Splitter(3, 0.1, 0.1))
    assert drawn[::2] == assign([Unit("en")] * 200, Splitter(3, 0.1, 0.1))
    counts = Counter(drawn)
    assert abs(counts["validation"] - 40) <= 4
    assert abs(counts["test"] - 40) <= 4


def test_a_unit_that_is_too_large_is_learnt_from() -> None:
    drawn = assign([Unit("a", too_large=number % 2 == 0) for number in range(100)], Splitter(3, 0.3, 0.0))
    assert set(drawn[::2]) == {"train"}
    assert abs(drawn[1::2].count("validation") - 15) <= 1
    assert assign([Unit("a", too_large=True), Unit("a")], Splitter(1, 0.02, 0.0)) == ["train", "validation"]


@given(
    count=st.integers(1, 12), test=st.sampled_from([0.0, 0.02]), seed=st.integers(0, 50), source=st.sampled_from("ab")
)
@settings(max_examples=100, deadline=None)
def test_no_split_is_empty_while_there_are_units(count: int, test: float, seed: int, source: str) -> None:
    found = set(assign([Unit(source)] * count, Splitter(seed, 0.02, test)))
    if count >= 4:
        assert found == {"train", "validation"} | ({"test"} if test else set())
    if count == 2 and not test:
        assert found == {"train", "validation"}
