"""The bot's memory and its pace."""

from __future__ import annotations

import sqlite3
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from loquela.bot.news import News
from loquela.bot.pace import Pace
from loquela.bot.store import DATABASE, MOST_LINES, Store
from loquela.core.errors import DataError, ErrorCode, ResourceError


def test_what_is_noted_is_there_after_a_restart(tmp_path: Path) -> None:
    store = Store(tmp_path / "bot")
    assert store.position() is None
    assert store.watch(1, "run")
    assert not store.watch(1, "run")
    assert store.watch(2, "run")
    assert store.heard("run", 7, News("checkpoint", "saved"), 100.0, checkpoint=5) == [1, 2]
    assert store.heard("run", 8, News("failed", "failed", rings=True), 101.0) == [1, 2]
    assert store.heard("other", 9, News("failed", "failed", rings=True), 101.0) == []
    store.close()
    again = Store(tmp_path / "bot")
    card = again.card(1, "run")
    assert card is not None
    assert [line.text for line in card.lines] == ["saved", "failed"]
    assert (card.checkpoint, card.heard, card.shown, card.heard_at) == (5, 2, 0, 100.0)
    assert again.position() == 9
    assert [(one.owner, one.text) for one in again.notices(2)] == [(2, "failed")]
    assert again.unwatch(2, "run")
    assert again.notices(2) == []
    assert again.watched("run")
    again.close()


def test_nobody_else_may_read_it_and_lines_are_few(tmp_path: Path) -> None:
    store = Store(tmp_path / "bot")
    store.watch(1, "run")
    for number in range(20):
        store.heard("run", number, News("k", str(number)), float(number))
    card = store.card(1, "run")
    assert card is not None
    assert [line.text for line in card.lines] == [str(n) for n in range(20 - MOST_LINES, 20)]
    store.close()
    assert stat.S_IMODE((tmp_path / "bot").stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "bot" / DATABASE).stat().st_mode) == 0o600


def test_two_bots_on_one_folder_are_refused(tmp_path: Path) -> None:
    store = Store(tmp_path)
    with pytest.raises(ResourceError, match="another bot already works with") as caught:
        Store(tmp_path)
    assert caught.value.code is ErrorCode.RUN_LOCKED
    store.close()
    Store(tmp_path).close()


def test_a_damaged_database_is_named(tmp_path: Path) -> None:
    (tmp_path / DATABASE).write_bytes(b"this is no database, however long it is looked at. " * 100)
    with pytest.raises(DataError, match="is damaged"):
        Store(tmp_path)
    (tmp_path / DATABASE).unlink()
    Store(tmp_path).close()


def test_a_full_disk_and_a_database_that_somebody_holds_are_named(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store._database.execute("PRAGMA max_page_count = 1")
    with pytest.raises(ResourceError, match="no space left") as caught:
        for number in range(2000):
            store.watch(number, "a run with quite a long name " * 10)
    assert caught.value.code is ErrorCode.DISK_FULL
    store._database.execute("PRAGMA max_page_count = 100000")
    store._database.execute("PRAGMA busy_timeout = 10")
    other = sqlite3.connect(tmp_path / DATABASE, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    with pytest.raises(ResourceError, match="cannot be used"):
        store.watch(1, "run")
    other.close()
    assert store.watch(1, "run")
    store.close()


@hypothesis_settings(max_examples=60, deadline=None)
@given(st.integers(1, 120), st.lists(st.floats(-5, 30), max_size=80))
def test_never_more_than_the_pace_in_any_minute(per_minute: int, pauses: list[float]) -> None:
    now, taken = 1000.0, list[float]()
    pace = Pace(per_minute, lambda: now)
    latest = now
    for pause in pauses:
        now += pause
        latest = max(latest, now)
        while pace.take():
            taken.append(latest)
    for at in taken:
        assert sum(at <= one <= at + 60.0 for one in taken) <= per_minute + max(1, per_minute / 3) + 1


def test_a_pace_begins_with_some_and_fills_again() -> None:
    now = 0.0
    pace = Pace(30, lambda: now)
    assert [pace.take() for _ in range(11)] == [True] * 10 + [False]
    now = 1.9
    assert not pace.take()
    now = 2.1
    assert pace.take()
