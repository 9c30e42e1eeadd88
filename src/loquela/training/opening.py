"""What the train stage is given, opened and checked."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import JsonValue

from loquela.artifacts.context import StageContext
from loquela.artifacts.manifest import MANIFEST_NAME, read_manifest
from loquela.artifacts.shards import TokenShards, require_tokenizer
from loquela.models.config import RecurrentConfig, TransformerConfig, model_config
from loquela.models.contract import LanguageModel
from loquela.models.initialize import initialize_model
from loquela.recipe.schema import Recipe
from loquela.tokenizers.contract import TokenizerHandle
from loquela.tokenizers.load import load_tokenizer
from loquela.training.rows import Rows


@dataclass
class Inputs:
    """The recipe's network, its rows, its tokenizer, and the digests that say which ones they are."""

    context: StageContext
    config: TransformerConfig | RecurrentConfig
    train_rows: Rows
    validation_rows: Rows
    tokenizer: TokenizerHandle
    data_digest: str
    tokenizer_digest: str

    @property
    def recipe(self) -> Recipe:
        """The recipe of the run."""
        return self.context.recipe

    @property
    def config_json(self) -> dict[str, JsonValue]:
        """The network's configuration as JSON."""
        settings: dict[str, JsonValue] = self.config.model_dump(mode="json")
        return settings

    @property
    def rows_per_step(self) -> int:
        """Rows of the global batch of one optimizer step."""
        train = self.recipe.train
        return train.batch_size * train.gradient_accumulation_steps


def open_inputs(context: StageContext) -> Inputs:
    """Open shards and tokenizer and derive the network's configuration from both.

    Raises DataError: DATASET_NOT_FOUND, CORRUPTION, INSUFFICIENT_DATA, DATA_CHANGED for shards that were made with
    another tokenizer; RecipeError(ARCHITECTURE_INVALID).
    """
    shards, tokenizer = context.inputs["shards"], context.inputs["tokenizer"]
    train_shards = TokenShards(shards, "train")
    if train_shards.tokenizer_digest:
        require_tokenizer(train_shards, tokenizer)
    config = model_config(context.recipe.model, train_shards.vocab_size)
    has_manifest = (tokenizer / MANIFEST_NAME).is_file()
    return Inputs(
        context=context,
        config=config,
        train_rows=Rows(train_shards, config.max_sequence_length),
        validation_rows=Rows(TokenShards(shards, "validation"), config.max_sequence_length),
        tokenizer=load_tokenizer(tokenizer),
        data_digest=train_shards.digest,
        tokenizer_digest=read_manifest(tokenizer).digest if has_manifest else "",
    )


def initial_model(inputs: Inputs) -> LanguageModel:
    """Random weights from the seed, or pretrained ones of the same network (dropout may differ).

    Raises DataError(PRETRAINED_LOAD_FAILED) naming what differs, ResourceError(OOM).
    """
    section = inputs.recipe.model
    pretrained = section.pretrained_path if section.initialization == "pretrained" else None
    return initialize_model(inputs.config, inputs.recipe.seed, inputs.context.bus, pretrained).model
