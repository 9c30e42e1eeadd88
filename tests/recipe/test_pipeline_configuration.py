"""The flat form: its defaults, its limits, its rules, and the way to and from a recipe."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from loquela.recipe.loading import load_recipe
from loquela.recipe.pipeline import PipelineConfiguration, from_recipe
from loquela.recipe.schema import DEFAULT_SOURCES, Recipe


def test_defaults() -> None:
    assert json.loads(PipelineConfiguration().model_dump_json()) == {
        "corpus_source": "gutenberg:bilingual",
        "corpus_size_mb": 8,
        "tokenizer_vocab_size": 8000,
        "tokenizer_model_type": "unigram",
        "model_architecture": {"num_layers": 2, "d_model": 128, "num_heads": 4, "dim_feedforward": 256},
        "training_hyperparameters": {
            "batch_size": 32,
            "learning_rate": 0.0003,
            "num_epochs": 20,
            "max_sequence_length": 128,
        },
        "output_directory": "./data/",
        "resume_from_checkpoint": False,
        "skip_phases": [],
    }


LIMITS = {
    "corpus_size_mb": (1, None),
    "tokenizer_vocab_size": (1000, 32000),
    "model_architecture.num_layers": (1, 12),
    "model_architecture.d_model": (64, 512),
    "model_architecture.num_heads": (1, 16),
    "model_architecture.dim_feedforward": (128, 2048),
    "training_hyperparameters.batch_size": (1, 128),
    "training_hyperparameters.learning_rate": (1e-5, 1e-2),
    "training_hyperparameters.num_epochs": (1, 100),
    "training_hyperparameters.max_sequence_length": (32, 2048),
}


@pytest.mark.parametrize(("path", "limits"), LIMITS.items())
def test_limits(path: str, limits: tuple[float, float | None]) -> None:
    section, _, name = path.rpartition(".")

    def configure(value: float) -> None:
        PipelineConfiguration.model_validate({section: {name: value}} if section else {name: value})

    for limit, outside in zip(limits, (0.5, 2), strict=True):
        if limit is not None:
            configure(limit)
            with pytest.raises(ValidationError, match=name):
                configure(type(limit)(limit * outside) if limit > 1 else limit * outside if limit < 1 else 0)


def test_only_known_names() -> None:
    for values in (
        {"tokenizer_model_type": "wordpiece"},
        {"skip_phases": ["validation"]},
        {"corpus": "x"},
        {"model_architecture": {"dropout": 0.1}},
    ):
        with pytest.raises(ValidationError):
            PipelineConfiguration.model_validate(values)


def test_heads_divide_the_width() -> None:
    with pytest.raises(ValidationError, match=r"num_heads \(5\) does not divide d_model \(128\).* 1, 2, 4, 8, 16"):
        PipelineConfiguration.model_validate({"model_architecture": {"num_heads": 5}})


def test_batch_times_length_stays_within_the_memory_budget() -> None:
    huge = {"training_hyperparameters": {"batch_size": 128, "max_sequence_length": 2048}}
    with pytest.raises(ValidationError, match=r"128 × 2048 needs about \d+ MB, over the memory budget of 8192 MB") as e:
        PipelineConfiguration.model_validate(huge)
    proposed = int(str(e.value).partition("set batch_size: ")[2].split()[0])
    PipelineConfiguration.model_validate(
        {"training_hyperparameters": {"batch_size": proposed, "max_sequence_length": 2048}}
    )
    assert PipelineConfiguration.model_validate(huge, context={"memory_budget_mb": 64_000})
    with pytest.raises(ValidationError, match="memory budget of 100 MB"):
        PipelineConfiguration.model_validate({}, context={"memory_budget_mb": 100})


def test_memory_by_hand() -> None:
    # states: 4·((8000+128)·128 + 2·(4·128² + 2·128·256)) numbers; per token 2·(10·128 + 2·256) + 8000; 4096 tokens
    states = 4 * (1_040_384 + 2 * (65_536 + 65_536))
    assert PipelineConfiguration().training_memory_mb() == pytest.approx(4 * (states + 4096 * 11_584) / 1e6)


def test_recommendations_warn_and_do_not_stop() -> None:
    assert PipelineConfiguration().recommendations() == [
        "tokenizer_vocab_size 8000 is not a power of two; 8192 is the nearest"
    ]
    odd = PipelineConfiguration.model_validate(
        {
            "tokenizer_vocab_size": 8192,
            "corpus_size_mb": 500,
            "training_hyperparameters": {"batch_size": 64, "learning_rate": 0.001},
        }
    )
    size, rate = odd.recommendations()
    assert "more than the typical 1 to 100" in size
    assert "a larger batch typically goes with a smaller rate" in rate


def test_defaults_are_the_default_recipe() -> None:
    assert PipelineConfiguration().to_recipe() == Recipe() == load_recipe(None).recipe
    assert from_recipe(Recipe()) == (PipelineConfiguration(output_directory="data"), [])


@pytest.mark.parametrize(
    ("overrides", "reason"),
    [
        ({"data.sources": ["a", "b"]}, "data.sources has 2 sources"),
        ({"model.family": "lstm"}, "model.family is lstm"),
        ({"tokenizer.method": "wordpiece"}, "tokenizer_model_type: Input should be"),
        ({"train.epochs": 101}, "training_hyperparameters.num_epochs: Input should be less than or equal to 100"),
        ({"model.num_layers": 13}, "model_architecture.num_layers"),
        ({"train.batch_size": 128, "model.max_sequence_length": 2048}, "over the memory budget"),
    ],
)
def test_recipes_outside_the_limits(overrides: dict[str, object], reason: str) -> None:
    configuration, reasons = from_recipe(load_recipe(None, overrides).recipe)
    assert configuration is None
    assert any(reason in found for found in reasons)


@settings(max_examples=60, deadline=None)
@given(
    layers=st.integers(1, 12),
    heads=st.sampled_from([1, 2, 4, 8]),
    rows=st.integers(1, 32),
    source=st.sampled_from(["gutenberg:bilingual", "a.txt"]),
    skip=st.sets(st.sampled_from(["corpus_download", "tokenizer_training"])),
)
def test_there_and_back(layers: int, heads: int, rows: int, source: str, skip: set[str]) -> None:
    flat = PipelineConfiguration.model_validate(
        {
            "corpus_source": source,
            "model_architecture": {"num_layers": layers, "num_heads": heads},
            "training_hyperparameters": {"batch_size": rows},
            "output_directory": "out",
            "skip_phases": skip,
        }
    )
    recipe = flat.to_recipe()
    assert from_recipe(recipe) == (flat, [])
    assert (recipe.data.sources == DEFAULT_SOURCES) == (source == "gutenberg:bilingual")
