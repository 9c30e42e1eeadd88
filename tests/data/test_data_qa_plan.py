"""Which chunks are asked, how often and what; what it costs; what a recipe may say."""

from __future__ import annotations

import itertools
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from qa_samples import PLACES, corpus, passage

from loquela.artifacts.corpus import Document
from loquela.core.errors import ErrorCode, RecipeError
from loquela.data.qa.budget import Budget
from loquela.data.qa.chunks import as_chunk, poor_reason, read_chunks
from loquela.data.qa.plan import LARGEST_SHARE, make_plan, share_out
from loquela.data.qa.prompts import ask_request
from loquela.data.qa.providers.contract import Usage
from loquela.data.qa.providers.models import model_facts
from loquela.recipe.qa_section import QaSection


def chunk_of(text: str, language: str | None = "en"):
    document = Document(id=text[:8], text=text, source="s", language=language, split="train")
    return as_chunk(document, "auto")


@settings(max_examples=100, deadline=None)
@given(sizes=st.lists(st.integers(25, 5000), max_size=40), average=st.integers(1, 20))
def test_shares_add_up_and_keep_their_bounds(sizes: list[int], average: int) -> None:
    counts = share_out(sizes, average)
    assert len(counts) == len(sizes)
    assert sum(counts) == average * len(sizes)
    assert all(1 <= count <= LARGEST_SHARE * average for count in counts)
    ordered = [count for _, count in sorted(zip(sizes, counts, strict=True), key=lambda each: each[0])]
    assert all(later >= earlier - 1 for earlier, later in itertools.pairwise(ordered))


def test_a_chunk_that_says_twice_as_much_is_asked_twice_as_often() -> None:
    assert share_out([100, 200, 300], 4) == [2, 4, 6]
    assert share_out([1000, 1, 1, 1], 4) == [12, 2, 1, 1]  # bounds: at least 1, at most 12
    assert share_out([50] * 40, 3) == [3] * 40  # the end of a book counts like its beginning


def test_the_grid_deals_every_type_and_level_equally(tmp_path: Path) -> None:
    section = QaSection(provider="offline", pairs_per_chunk=6)
    plan = make_plan(read_chunks(corpus(tmp_path), "auto"), section)
    cells = Counter(cell for chunk in plan.chunks.values() for cell in chunk.cells)
    assert plan.pairs == 36
    assert len(cells) == 9
    assert set(cells.values()) == {4}
    again = make_plan(read_chunks(tmp_path, "auto"), section)
    other = make_plan(read_chunks(tmp_path, "auto"), section.model_copy(update={"seed": 1}))
    assert again.chunks == plan.chunks
    assert other.chunks != plan.chunks


GOOD = passage(*PLACES[0])
TABLE = "\n".join(f"{number} {number * 7} {number * 13} row{number}" for number in range(60))
RULES = "\n".join(f"word{chr(97 + n % 26)}{chr(97 + n // 26)} .... ---- ==== ****" for n in range(60))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (GOOD, None),
        ("A short remark about nothing.", "chunk says too little"),
        (TABLE, "chunk is mostly numbers"),
        (RULES, "chunk is mostly signs"),
        ((GOOD + "\n") * 8, "chunk repeats its words"),
        (GOOD.replace(". ", ".\n") + "\n" + "\n".join(GOOD.split(". ")[:1] * 12), "chunk repeats its lines"),
        (GOOD * 200, "chunk too long"),
    ],
)  # fmt: skip
def test_poor_chunks_are_told_before_they_are_paid_for(text: str, reason: str | None) -> None:
    assert poor_reason(chunk_of(text)) == reason


def test_what_is_skipped_is_counted() -> None:
    chunks = [chunk_of(GOOD), chunk_of("Nothing here."), chunk_of(GOOD)]
    plan = make_plan(chunks, QaSection(provider="offline"))
    assert plan.read == 3
    assert plan.skipped == {"chunk says too little": 1, "chunk was there before": 1}
    assert plan.pairs == 3


def test_the_language_is_told_or_found() -> None:
    assert chunk_of(GOOD, "es").language == "es"
    assert chunk_of(GOOD, None).language == "en"
    document = Document(id="x", text=GOOD, source="s", language="en", split="train")
    assert as_chunk(document, "fr").language == "fr"


# --- money ------------------------------------------------------------------------------------------------------


@settings(max_examples=100, deadline=None)
@given(
    limit=st.floats(0, 10),
    calls=st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1), st.booleans()), max_size=40),
    at_once=st.integers(1, 5),
)
def test_the_cap_holds_whatever_the_calls_cost(limit: float, calls: list, at_once: int) -> None:
    budget = Budget(limit)
    flying: list[tuple[float, float, bool]] = []
    paid = 0.0
    for worst, share, fails in calls:
        if budget.reserve(worst):
            flying.append((worst, worst * share, fails))
        while len(flying) >= at_once:
            reserved, cost, failed = flying.pop(0)
            paid += cost
            if failed:
                budget.release(reserved, maybe_billed=True)
            else:
                budget.settle(reserved, cost)
    paid += sum(cost for _, cost, _ in flying)
    assert paid <= limit + 1e-6
    assert budget.spent + budget.in_doubt + budget.reserved <= limit + 1e-6


def test_prices_by_hand() -> None:
    facts = model_facts(QaSection(), "claude-haiku-5-5")
    usage = Usage(input_tokens=1_000_000, output_tokens=100_000, cache_write_tokens=80_000, cache_read_tokens=200_000)
    # 0.10 + 0.05 + 0.01 (80,000 at 1.25 × 0.10) + 0.002 (200,000 at 0.1 × 0.10)
    assert facts.cost_usd(usage) == pytest.approx(0.162)
    assert facts.cost_usd(usage, batch=True) == pytest.approx(0.081)


def test_the_worst_case_counts_a_token_a_byte() -> None:
    chunk = chunk_of(GOOD)
    request = ask_request(chunk, [("fact", "basic")], model="claude-haiku-5-5", endpoint="e")
    facts = model_facts(QaSection(), "claude-haiku-5-5")
    least = (len(GOOD.encode()) * 0.125 + request.max_output_tokens * 0.5) / 1e6
    assert facts.worst_usd(request) > least
    assert request.prompt_bytes > len(GOOD.encode()) + len(request.system.encode())


def test_a_model_without_a_price_has_no_cap_and_is_refused() -> None:
    section = QaSection(provider="openai", model="house-7b", base_url="http://127.0.0.1:1/v1")
    with pytest.raises(RecipeError, match="the price of 'house-7b' is not known") as caught:
        model_facts(section, "house-7b")
    assert "qa.prices: [{model: house-7b" in caught.value.remedy
    price = {"model": "house-7b", "input_usd_per_million_tokens": 2, "output_usd_per_million_tokens": 3}
    facts = model_facts(QaSection.model_validate({**section.model_dump(), "prices": [price]}), "house-7b")
    assert facts.cost_usd(Usage(input_tokens=10**6, output_tokens=10**6)) == 5


# --- the recipe --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"provider": "openai"}, "provider openai has no default model"),
        ({"provider": "offline", "model": "x"}, "provider offline uses none"),
        ({"provider": "offline", "judge": True}, "judge needs a model"),
        ({"provider": "offline", "question_types": ["reason"]}, "provider offline cannot ask"),
        ({"provider": "offline", "batch": True}, "batch needs provider anthropic"),
        ({"judge": False, "judge_model": "x"}, "judge is off"),
        ({"rows": "closed_book"}, "refusals would be all that goes with a passage"),
        ({"prices": [{"model": "a", "input_usd_per_million_tokens": 1, "output_usd_per_million_tokens": 1}] * 2},
         "names a model twice"),
        ({"base_url": "https://user:secret@host/"}, "String should match pattern"),
    ],
)  # fmt: skip
def test_options_that_contradict_each_other(values: dict, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        QaSection.model_validate(values)


def test_a_recipe_without_the_section_is_told_what_to_write() -> None:
    from loquela.data.qa.stage import section_of
    from loquela.recipe.schema import Recipe

    with pytest.raises(RecipeError, match="the recipe has no section qa") as caught:
        section_of(Recipe())
    assert caught.value.code is ErrorCode.CONFIG_INVALID
    assert "qa: {provider: anthropic}" in caught.value.remedy
