"""Predictions by hand, and the comparison afterwards."""

from pathlib import Path

import pytest

from loquela.recipe.schema import Recipe
from loquela.runs.plan import bytes_per_token, corpus_size, steps_of
from loquela.runs.prerequisites import existing_ancestor, required_disk_mb
from loquela.stages import PREFLIGHT, STAGES


def test_steps_count_the_last_smaller_batch() -> None:
    recipe = Recipe.model_validate(
        {"train": {"epochs": 2, "batch_size": 4}, "model": {"max_sequence_length": 8}}
    )
    # 8·4 = 32 tokens a step; 100 targets = 13 rows = 4 steps an epoch
    assert steps_of(recipe, 101) == 8
    recipe.train.gradient_accumulation_steps = 4
    assert steps_of(recipe, 101) == 2
    recipe.train.max_steps = 1
    assert steps_of(recipe, 101) == 1


def test_bytes_per_token_is_interpolated() -> None:
    assert bytes_per_token("bpe", 8000)[0] == pytest.approx(3.6)
    assert bytes_per_token("unigram", 100)[0] == pytest.approx(2.35)
    assert bytes_per_token("bpe", 10**6)[0] == pytest.approx(4.2)
    assert 3.2 < bytes_per_token("bpe", 5657)[0] < 3.6


def test_local_sources_are_counted(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("x" * 1000)
    recipe = Recipe.model_validate({"data": {"sources": [str(tmp_path / "a.txt"), str(tmp_path)]}})
    assert corpus_size(recipe)[0] == 2000
    assert corpus_size(Recipe())[0] == 8e6
    assert "corpus_size_mb" in corpus_size(Recipe())[1]


def test_disk_by_the_published_formula_and_the_moments() -> None:
    recipe = Recipe.model_validate({"data": {"corpus_size_mb": 3}})
    parameters = 1_308_160 - 1_308_160 % 1  # of the reference model, tied: counted by the models' own test
    weights = required_disk_mb(recipe) - 103
    assert weights == pytest.approx(parameters * 4 * 9 / 1e6, rel=0.05)


def test_the_nearest_existing_folder_is_found(tmp_path: Path) -> None:
    assert existing_ancestor(tmp_path / "a" / "b") == tmp_path


def test_every_entry_of_the_tables_resolves() -> None:
    from loquela.core.entry import resolve

    entries = [*PREFLIGHT, *(stage.entry for stage in STAGES), *(s.fingerprint for s in STAGES if s.fingerprint)]
    for entry in entries:
        function: object = resolve(entry)
        assert callable(function), entry
