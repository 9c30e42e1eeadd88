"""Numbers as people read them."""

from __future__ import annotations

import math

import pytest

from loquela.bot import words


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(-3, "0 s"), (59.4, "59 s"), (60, "1 min"), (3599, "59 min"), (7500, "2 h 05 min"), (273_600, "3 d 4 h")],
)
def test_durations(seconds: float, said: str) -> None:
    assert words.duration(seconds) == said


def test_numbers_of_the_service_may_be_words() -> None:
    assert math.isnan(words.number("NaN") or 0.0)
    assert words.number("-Infinity") == -math.inf
    assert words.number("12") is None
    assert words.number(True) is None
    assert words.whole(3) == 3
    assert words.whole(3.0) is None


def test_losses_and_perplexities() -> None:
    assert words.loss_words(2.80122542) == "2.8012"
    assert words.perplexity_words(math.log(1234.56)) == "1,234.6"
    assert words.loss_words(math.nan) == words.perplexity_words(math.nan) == "not a number"
    assert words.loss_words(math.inf) == "infinite"
    assert words.perplexity_words(700.0) == "above 10⁸"


@pytest.mark.parametrize(
    ("done", "total", "filled", "share"),
    [(0, 10, 0, "0 %"), (999, 1000, 19, "99 %"), (1000, 1000, 20, "100 %"), (5, 0, 0, "0 %"), (20, 10, 20, "100 %")],
)
def test_a_bar_is_full_only_when_all_is_done(done: int, total: int, filled: int, share: str) -> None:
    bar = words.bar(done, total)
    assert bar.count("▰") == filled
    assert bar.count("▰") + bar.count("▱") == words.BAR_CELLS
    assert bar.endswith(f" {share}")


def test_a_state_of_a_newer_server_stands_for_itself() -> None:
    assert words.state_words("succeeded") == "finished"
    assert words.state_words("dreaming") == "dreaming"
    assert words.state_colour("dreaming") == words.UNKNOWN_COLOUR
