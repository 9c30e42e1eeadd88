"""What the train stage is given, opened and checked."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import JsonValue

from loquela.artifacts.context import StageContext
from loquela.artifacts.manifest import MANIFEST_NAME, read_manifest
from loquela.artifacts.shards import TokenShards
from loquela.models.build import build_model
from loquela.models.config import RecurrentConfig, TransformerConfig, model_config
from loquela.models.contract import LanguageModel
from loquela.models.folder import load_model
from loquela.recipe.schema import Recipe
from loquela.tokenizers.contract import TokenizerHandle
from loquela.tokenizers.load import load_tokenizer
from loquela.training.compatibility import check_network
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

    Raises DataError: DATASET_NOT_FOUND, CORRUPTION, INSUFFICIENT_DATA; RecipeError(ARCHITECTURE_INVALID).
    """
    shards, tokenizer = context.inputs["shards"], context.inputs["tokenizer"]
    train_shards = TokenShards(shards, "train")
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

    Raises DataError: PRETRAINED_LOAD_FAILED, or CHECKPOINT_INCOMPATIBLE naming what differs.
    """
    section = inputs.recipe.model
    model = build_model(inputs.config, inputs.recipe.seed)
    if section.initialization == "pretrained" and section.pretrained_path is not None:
        pretrained = load_model(section.pretrained_path)
        there = pretrained.config.model_dump(mode="json") | {"dropout": inputs.config.dropout}
        check_network(str(section.pretrained_path), there, inputs.config_json)
        model.load_state_dict(pretrained.state_dict(), strict=True)
    return model
