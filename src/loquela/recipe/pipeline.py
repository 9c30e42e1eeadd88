"""The flat pipeline configuration: the few settings of the reference pipeline, with its defaults and limits."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import (
    Field,
    JsonValue,
    ValidationError,
    ValidationInfo,
    field_serializer,
    model_validator,
)

from loquela.core.model import BoundaryModel
from loquela.recipe.keys import nest
from loquela.recipe.schema import DEFAULT_SOURCES, Recipe, SkippablePhase

GUTENBERG_BILINGUAL = "gutenberg:bilingual"
"""Stands for the recipe's default sources: English and Spanish books of Project Gutenberg."""

MEMORY_BUDGET_MB = 8192
"""What training may need by `training_memory_mb` unless the validation context says `memory_budget_mb`."""

ModelType = Literal["unigram", "bpe", "char", "word"]


class ModelArchitecture(BoundaryModel):
    """Neural network structure parameters."""

    num_layers: int = Field(2, ge=1, le=12, description="Transformer layers")
    d_model: int = Field(128, ge=64, le=512, description="embedding dimension")
    num_heads: int = Field(4, ge=1, le=16, description="attention heads")
    dim_feedforward: int = Field(256, ge=128, le=2048, description="feed-forward hidden size")

    @model_validator(mode="after")
    def _heads_divide_width(self) -> Self:
        if self.d_model % self.num_heads:
            near = [heads for heads in range(1, 17) if self.d_model % heads == 0]
            raise ValueError(
                f"num_heads ({self.num_heads}) does not divide d_model ({self.d_model}); "
                f"num_heads may be one of {', '.join(str(heads) for heads in near)}"
            )
        return self


class TrainingHyperparameters(BoundaryModel):
    """Optimization settings."""

    batch_size: int = Field(32, ge=1, le=128, description="samples per training step")
    learning_rate: float = Field(0.0003, ge=1e-5, le=1e-2, description="initial learning rate")
    num_epochs: int = Field(20, ge=1, le=100, description="complete passes through the dataset")
    max_sequence_length: int = Field(128, ge=32, le=2048, description="token context window")


class PipelineConfiguration(BoundaryModel):
    """All parameters of the complete training workflow, from corpus download through validation."""

    corpus_source: str = Field(GUTENBERG_BILINGUAL, min_length=1, description="URL or file path of the corpus")
    corpus_size_mb: int = Field(8, gt=0, description="expected corpus size in MB, typically 1-100")
    tokenizer_vocab_size: int = Field(8000, ge=1000, le=32000, description="number of tokens")
    tokenizer_model_type: ModelType = Field("unigram", description="algorithm")
    model_architecture: ModelArchitecture = Field(default_factory=ModelArchitecture)
    training_hyperparameters: TrainingHyperparameters = Field(default_factory=TrainingHyperparameters)
    output_directory: str = Field("./data/", min_length=1, description="where to save artifacts")
    resume_from_checkpoint: bool = Field(False, description="false asks when checkpoints are found")
    skip_phases: set[SkippablePhase] = Field(default_factory=set, description="phases whose artifacts exist already")

    @field_serializer("skip_phases")
    def _in_order(self, phases: set[SkippablePhase]) -> list[SkippablePhase]:
        return sorted(phases)

    @model_validator(mode="after")
    def _fits_memory(self, info: ValidationInfo[dict[str, float] | None]) -> Self:
        budget_mb = (info.context or {}).get("memory_budget_mb", MEMORY_BUDGET_MB)
        needed_mb = self.training_memory_mb()
        if needed_mb > budget_mb:
            settings = self.training_hyperparameters
            rows = max(1, int(settings.batch_size * budget_mb / needed_mb))
            raise ValueError(
                f"batch_size × max_sequence_length = {settings.batch_size} × {settings.max_sequence_length} "
                f"needs about {needed_mb:.0f} MB, over the memory budget of {budget_mb:.0f} MB; "
                f"set batch_size: {rows} or less"
            )
        return self

    def training_memory_mb(self) -> float:
        """Upper estimate: parameters with gradient and two moments, activations kept for backward, one copy of logits.

        4 bytes a number. Per token and layer: ten vectors of d_model (norms, queries, keys, values, context, residual)
        and two of the feed-forward width.
        """
        shape, settings = self.model_architecture, self.training_hyperparameters
        block = 4 * shape.d_model**2 + 2 * shape.d_model * shape.dim_feedforward
        embeddings = (self.tokenizer_vocab_size + settings.max_sequence_length) * shape.d_model
        states = 4 * (embeddings + shape.num_layers * block)
        per_token = shape.num_layers * (10 * shape.d_model + 2 * shape.dim_feedforward) + self.tokenizer_vocab_size
        tokens = settings.batch_size * settings.max_sequence_length
        return 4 * (states + tokens * per_token) / 1e6

    def recommendations(self) -> list[str]:
        """What is allowed but unusual; nothing here stops a run."""
        found = []
        vocab = self.tokenizer_vocab_size
        if vocab & (vocab - 1):
            power = min((2**n for n in range(10, 15)), key=lambda size: abs(size - vocab))
            found.append(f"tokenizer_vocab_size {vocab} is not a power of two; {power} is the nearest")
        if self.corpus_size_mb > 100:
            found.append(f"corpus_size_mb {self.corpus_size_mb} is more than the typical 1 to 100")
        settings = self.training_hyperparameters
        if settings.batch_size > 32 and settings.learning_rate > 0.0003:
            found.append(
                f"learning_rate {settings.learning_rate:g} is above the default 0.0003 although batch_size "
                f"{settings.batch_size} is above the default 32; a larger batch typically goes with a smaller rate"
            )
        return found

    def to_recipe(self) -> Recipe:
        """The same settings as a recipe; everything else keeps the recipe's default."""
        shape, settings = self.model_architecture, self.training_hyperparameters
        bilingual = self.corpus_source == GUTENBERG_BILINGUAL
        values: dict[str, JsonValue] = {
            "data.sources": [*DEFAULT_SOURCES] if bilingual else [self.corpus_source],
            "data.corpus_size_mb": self.corpus_size_mb,
            "tokenizer.method": self.tokenizer_model_type,
            "tokenizer.vocab_size": self.tokenizer_vocab_size,
            "model.num_layers": shape.num_layers,
            "model.d_model": shape.d_model,
            "model.num_heads": shape.num_heads,
            "model.dim_feedforward": shape.dim_feedforward,
            "model.max_sequence_length": settings.max_sequence_length,
            "train.batch_size": settings.batch_size,
            "train.learning_rate": settings.learning_rate,
            "train.epochs": settings.num_epochs,
            "output_directory": self.output_directory,
            "resume_from_checkpoint": self.resume_from_checkpoint,
            "skip_phases": [*sorted(self.skip_phases)],
        }
        return Recipe.model_validate(nest(values))


def from_recipe(recipe: Recipe) -> tuple[PipelineConfiguration | None, list[str]]:
    """The recipe in the flat form, or None and the reasons: each value that lies outside the form's limits.

    Recipe keys that the flat form does not have (optimizer, schedule, compute …) are not looked at.
    """
    reasons = []
    sources = [entry.key for entry in recipe.data.entries]
    if any(not isinstance(source, str) for source in recipe.data.sources):
        reasons.append("data.sources has an entry with options; the flat form has an address only")
    if sources != DEFAULT_SOURCES and len(sources) != 1:
        reasons.append(f"data.sources has {len(sources)} sources; the flat form has one")
    if recipe.model.family != "transformer":
        reasons.append(f"model.family is {recipe.model.family}; the flat form has transformers only")
    values: dict[str, JsonValue] = {
        "corpus_source": GUTENBERG_BILINGUAL if sources == DEFAULT_SOURCES else sources[0],
        "corpus_size_mb": recipe.data.corpus_size_mb,
        "tokenizer_vocab_size": recipe.tokenizer.vocab_size,
        "tokenizer_model_type": recipe.tokenizer.method,
        "model_architecture": {
            "num_layers": recipe.model.num_layers,
            "d_model": recipe.model.d_model,
            "num_heads": recipe.model.num_heads,
            "dim_feedforward": recipe.model.dim_feedforward,
        },
        "training_hyperparameters": {
            "batch_size": recipe.train.batch_size,
            "learning_rate": recipe.train.learning_rate,
            "num_epochs": recipe.train.epochs,
            "max_sequence_length": recipe.model.max_sequence_length,
        },
        "output_directory": str(recipe.output_directory),
        "resume_from_checkpoint": recipe.resume_from_checkpoint,
        "skip_phases": [*recipe.skip_phases],
    }
    try:
        configuration = PipelineConfiguration.model_validate(values)
    except ValidationError as error:
        for detail in error.errors(include_url=False):
            place = ".".join(str(part) for part in detail["loc"])
            reasons.append(f"{place}: {detail['msg']}" if place else str(detail["msg"]))
        return None, reasons
    return (None, reasons) if reasons else (configuration, [])
