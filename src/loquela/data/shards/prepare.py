"""Corpus + tokenizer → shards: encoded in parts by tasks, joined in order, every document and byte accounted for."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from pydantic import Field

from loquela.artifacts.corpus import LEDGER_NAME, SPLITS, line_ranges
from loquela.artifacts.manifest import read_manifest
from loquela.artifacts.shards import ShardsFacts, ShardWriter, SplitFacts, dtype_name
from loquela.core.atomic import write_json
from loquela.core.errors import DataError, ErrorCode, InternalError
from loquela.core.model import BoundaryModel
from loquela.data.corpus.facts import CorpusFacts
from loquela.data.shards.encode_part import ENTRY, EncodeArguments, EncodedFacts, read_encoded
from loquela.data.tasks.task import Task
from loquela.recipe.schema import TokenizerEngine
from loquela.tokenizers.contract import TokenizerHandle

# Bytes of the corpus's file in one task.
PART_BYTES = 64 << 20


class SplitTokens(BoundaryModel):
    """One split from documents to tokens: `tokens` = `text_tokens` + `eos_tokens`; unknown ones are text tokens."""

    documents: int = 0
    bytes: int = 0
    text_tokens: int = 0
    unknown_tokens: int = 0
    eos_tokens: int = 0
    tokens: int = 0


class TokenLedger(BoundaryModel):
    """What became of every document of the corpus."""

    format_version: int = 1
    splits: dict[str, SplitTokens] = Field(default_factory=dict)

    def check(self, corpus: CorpusFacts, written: dict[str, SplitFacts]) -> None:
        """InternalError(INTERNAL) unless corpus, encoder and writer counted the same."""
        for split, counted in self.splits.items():
            facts, wrote = corpus.splits[split], written[split]
            for what, *numbers in (
                ("documents", facts.documents, counted.documents, counted.eos_tokens, wrote.documents),
                ("bytes", facts.bytes, counted.bytes, wrote.bytes),
                ("tokens", counted.text_tokens + counted.eos_tokens, counted.tokens, wrote.tokens),
            ):
                if len(set(numbers)) != 1:
                    raise InternalError(
                        ErrorCode.INTERNAL,
                        f"the ledger does not add up: {what} of {split} are counted as {numbers}",
                        "report this as a bug, with the recipe that led to it; nothing was kept",
                    )


def encode_tasks(
    corpus: Path, tokenizer_folder: Path, engine: TokenizerEngine, folder: Path, part_bytes: int = PART_BYTES
) -> list[Task]:
    """One task for every range of the corpus's file; which ranges there are depends on the corpus alone."""
    inputs = {
        "corpus": read_manifest(corpus, "corpus").digest,
        "tokenizer": read_manifest(tokenizer_folder, "tokenizer").digest,
    }
    return [
        Task(
            name=f"part {number} of the tokens",
            entry=ENTRY,
            arguments=EncodeArguments(
                corpus=corpus.resolve(), tokenizer=tokenizer_folder.resolve(), start=start, end=end, engine=engine
            ).model_dump(mode="json"),
            inputs=inputs,
            place=folder / f"tokens-{number:05d}",
        )
        for number, (start, end) in enumerate(line_ranges(corpus, part_bytes))
    ]


def require_end_token(tokenizer: TokenizerHandle) -> None:
    """DataError(TOKENIZATION_FAILED) for a tokenizer that cannot tell where a document ends."""
    if not 0 <= tokenizer.eos_id < tokenizer.vocab_size:
        raise DataError(
            ErrorCode.TOKENIZATION_FAILED,
            f"the {tokenizer.method} tokenizer has no end-of-text token, which separates documents",
            "add an end token (</s> or <eos>) to tokenizer.model_file, or remove that key and let one be trained",
        )


def join_shards(
    parts: list[tuple[Path, EncodedFacts]],
    corpus: Path,
    tokenizer: TokenizerHandle,
    tokenizer_digest: str,
    directory: Path,
    *,
    context: int,
    between_parts: Callable[[], None] = lambda: None,
) -> ShardsFacts:
    """Write shards and `ledger.json` into `directory` from encoded parts, in order; `between_parts` may raise to stop.

    Raises DataError: INSUFFICIENT_DATA without validation text or with less than one row of `context` + 1 tokens to
    train on, TOKENIZATION_FAILED for ids beyond the vocabulary.
    """
    with ExitStack() as files:
        writers = {
            split: files.enter_context(ShardWriter(directory, split, tokenizer.vocab_size, eos_id=tokenizer.eos_id))
            for split in SPLITS
        }
        for folder, _ in parts:
            between_parts()
            for split in SPLITS:
                for tokens, size, document_id in read_encoded(folder, split):
                    writers[split].write(tokens, size, document_id)
    facts = ShardsFacts(
        vocab_size=tokenizer.vocab_size,
        dtype=dtype_name(tokenizer.vocab_size),
        eos_id=tokenizer.eos_id,
        tokenizer_digest=tokenizer_digest,
        splits={split: writer.facts for split, writer in writers.items()},
    )
    ledger = TokenLedger(splits={split: _totals(split, [counts for _, counts in parts]) for split in SPLITS})
    ledger.check(CorpusFacts.model_validate(read_manifest(corpus, "corpus").facts), facts.splits)
    _require_enough(facts, context)
    write_json(directory / LEDGER_NAME, ledger.model_dump(mode="json"))
    return facts


def _totals(split: str, parts: list[EncodedFacts]) -> SplitTokens:
    counts = [part.splits[split] for part in parts]
    documents, text_tokens = sum(c.documents for c in counts), sum(c.text_tokens for c in counts)
    return SplitTokens(
        documents=documents,
        bytes=sum(c.bytes for c in counts),
        text_tokens=text_tokens,
        unknown_tokens=sum(c.unknown_tokens for c in counts),
        eos_tokens=documents,
        tokens=text_tokens + documents,
    )


def _require_enough(facts: ShardsFacts, context: int) -> None:
    train, validation = facts.splits["train"], facts.splits["validation"]
    if validation.documents == 0:
        raise DataError(
            ErrorCode.INSUFFICIENT_DATA,
            "the validation split is empty, so no progress could be proven",
            "add sources, raise data.validation_fraction, or lower data.document_bytes",
            details={"train_documents": train.documents, "validation_documents": 0},
        )
    if train.tokens < context + 1:
        raise DataError(
            ErrorCode.INSUFFICIENT_DATA,
            f"the training text has {train.tokens} tokens; one row of context {context} takes {context + 1}",
            "add sources, or lower model.max_sequence_length",
            details={"train_tokens": train.tokens, "needed": context + 1},
        )
