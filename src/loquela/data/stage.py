"""The three stages of text: sources → corpus, corpus → tokenizer, corpus + tokenizer → shards."""

from __future__ import annotations

from pathlib import Path

from loquela.artifacts.context import StageContext, StageResult
from loquela.artifacts.manifest import read_manifest
from loquela.artifacts.normalization import write_normalization
from loquela.artifacts.shards import SplitFacts
from loquela.core.errors import ErrorCode, Interrupted
from loquela.data.fingerprint import downloads_directory
from loquela.data.holdout import Holdout
from loquela.data.ingest import build_corpus
from loquela.data.prepare import build_shards
from loquela.monitoring.events import trace
from loquela.tokenizers.load import load_tokenizer
from loquela.tokenizers.train import train_tokenizer as fill_tokenizer


def ingest(context: StageContext) -> StageResult:
    """Sources → `documents.jsonl` and `ledger.json`; errors as of `build_corpus`, Interrupted on request."""
    facts = build_corpus(
        context.recipe.data,
        seed=context.recipe.data.seed,
        downloads=downloads_directory(context.recipe.output_directory),
        directory=context.output,
        bus=context.bus,
        between_documents=lambda: _stop_if_asked(context),
    )
    splits = ", ".join(f"{count.documents:,} {split}" for split, count in facts.splits.items() if count.documents)
    return StageResult(
        facts=facts.model_dump(mode="json"),
        summary=f"{facts.bytes:,} bytes in {facts.documents:,} documents: {splits}",
    )


def train_tokenizer(context: StageContext) -> StageResult:
    """The train split of the corpus → a tokenizer, measured on documents it has not seen."""
    section = context.recipe.tokenizer
    holdout = Holdout(context.inputs["corpus"], section.holdout_fraction)
    stats = fill_tokenizer(section, holdout.learnt_from, holdout.held_out, context.output, context.bus)
    write_normalization(context.output, context.recipe.data.normalization)
    return StageResult(
        facts=stats.model_dump(mode="json"),
        summary=f"{stats.method}, {stats.vocab_size:,} tokens, {stats.bytes_per_token or 0:.2f} bytes a token "
        f"on {stats.documents:,} held-out documents",
    )


def prepare(context: StageContext) -> StageResult:
    """Corpus and tokenizer → token shards of every split; errors as of `build_shards`."""
    folder: Path = context.inputs["tokenizer"]
    facts = build_shards(
        context.inputs["corpus"],
        load_tokenizer(folder),
        read_manifest(folder, "tokenizer").digest,
        context.output,
        context=context.recipe.model.max_sequence_length,
        bus=context.bus,
        between_batches=lambda: _stop_if_asked(context),
    )
    # Documents keep the corpus's order on disk; the training order is a seeded permutation made by the loader.
    trace(context.bus, "DatasetBuilder", "shuffle_complete", shuffled=False, order="by the loader, from the seed")
    trace(
        context.bus,
        "DatasetBuilder",
        "dataset_persisted",
        directory=str(context.output),
        documents=_documents(facts.splits),
    )
    train, validation = facts.splits["train"], facts.splits["validation"]
    return StageResult(
        facts=facts.model_dump(mode="json"),
        summary=f"{train.tokens:,} tokens to train on, {validation.tokens:,} to validate on",
    )


def _documents(splits: dict[str, SplitFacts]) -> int:
    return sum(split.documents for split in splits.values())


def _stop_if_asked(context: StageContext) -> None:
    if context.stop.requested:
        raise Interrupted(
            ErrorCode.INTERRUPTED,
            f"stopped while preparing data ({context.stop.reason}); downloads and finished stages are kept",
            "go on with the same command and --resume auto",
        )
