"""The three stages of text: sources → corpus, corpus → tokenizer, corpus + tokenizer → shards."""

from __future__ import annotations

from pathlib import Path

from pydantic import JsonValue

from loquela.artifacts.context import StageContext, StageResult
from loquela.artifacts.manifest import read_manifest
from loquela.artifacts.normalization import write_normalization
from loquela.artifacts.shards import SplitFacts
from loquela.data.corpus.fingerprint import downloads_directory
from loquela.data.corpus.holdout import Holdout
from loquela.data.corpus.ingest import build_corpus
from loquela.data.corpus.part_tasks import RunTasks, parts_by_tasks
from loquela.data.shards.encode_part import EncodedFacts
from loquela.data.shards.prepare import encode_tasks, join_shards, require_end_token
from loquela.data.tasks.run import interrupted, run_tasks
from loquela.data.tasks.workplace import workplace
from loquela.monitoring.events import trace
from loquela.tokenizers.load import load_tokenizer
from loquela.tokenizers.train import train_tokenizer as fill_tokenizer


def ingest(context: StageContext) -> StageResult:
    """Sources → `documents.jsonl` and `ledger.json`; errors as of `build_corpus`, Interrupted on request."""
    section, output = context.recipe.data, context.recipe.output_directory
    downloads = downloads_directory(output)
    settings: dict[str, JsonValue] = {"section": section.model_dump(mode="json")}
    with workplace(output, "ingest", settings, context.stop) as folder:
        facts = build_corpus(
            section,
            seed=section.seed,
            downloads=downloads,
            directory=context.output,
            bus=context.bus,
            between_documents=lambda: _stop_if_asked(context),
            make_parts=parts_by_tasks(section, downloads, section.seed, folder, _runner(context, folder)),
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
    corpus, tokenizer_folder = context.inputs["corpus"], context.inputs["tokenizer"]
    tokenizer = load_tokenizer(tokenizer_folder)
    require_end_token(tokenizer)
    tokenizer_digest = read_manifest(tokenizer_folder, "tokenizer").digest
    bus = context.bus
    trace(bus, "DataPreprocessor", "tokenization_start", method=tokenizer.method, vocab_size=tokenizer.vocab_size)
    settings: dict[str, JsonValue] = {"corpus": read_manifest(corpus, "corpus").digest, "tokenizer": tokenizer_digest}
    with workplace(context.recipe.output_directory, "prepare", settings, context.stop) as folder:
        tasks = encode_tasks(corpus, tokenizer_folder, context.recipe.compute.tokenizer_engine, folder)
        made = _runner(context, folder)(tasks)
        parts = [(task.place, EncodedFacts.model_validate(made[task.name].facts)) for task in tasks]
        facts = join_shards(
            parts,
            corpus,
            tokenizer,
            tokenizer_digest,
            context.output,
            context=context.recipe.model.max_sequence_length,
            between_parts=lambda: _stop_if_asked(context),
        )
    engines = sorted({f"{part.engine.engine}: {part.engine.reason}" for _, part in parts})
    trace(bus, "DataPreprocessor", "tokens_generated", tokens=_tokens(facts.splits), engines=[*engines])
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


def _runner(context: StageContext, folder: Path) -> RunTasks:
    return lambda tasks: run_tasks(tasks, folder / "round", context.recipe.compute, context.bus, context.stop)


def _tokens(splits: dict[str, SplitFacts]) -> dict[str, JsonValue]:
    return {split: facts.tokens for split, facts in splits.items()}


def _documents(splits: dict[str, SplitFacts]) -> int:
    return sum(split.documents for split in splits.values())


def _stop_if_asked(context: StageContext) -> None:
    if context.stop.requested:
        raise interrupted(context.stop)
