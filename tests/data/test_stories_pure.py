"""A story is a pure function of (seed, index)."""

from __future__ import annotations

from loquela.data.stories.story import stories, story


def test_a_story_needs_no_earlier_story() -> None:
    in_order = list(stories(7, 30))
    backwards = [story(7, index) for index in reversed(range(30))]
    assert in_order == backwards[::-1]


def test_seeds_and_indexes_make_different_stories() -> None:
    texts = {story(seed, index).english for seed in range(20) for index in range(20)}
    assert len(texts) == 400


def test_five_thousand_stories_are_all_different() -> None:
    drawn = list(stories(11, 5000))
    assert len({one.english for one in drawn}) == 5000
    assert len({one.spanish for one in drawn}) == 5000
