"""Corpus + tokenizer → shards, in batches of bounded size, every document and byte accounted for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from pydantic import Field

from loquela.artifacts.corpus import LEDGER_NAME, SPLITS, Document, Split, read_documents
from loquela.artifacts.manifest import read_manifest
from loquela.artifacts.shards import ShardsFacts, ShardWriter, SplitFacts, dtype_name
from loquela.core.atomic import write_json
from loquela.core.errors import DataError, ErrorCode, InternalError
from loquela.core.model import BoundaryModel
from loquela.data.ingest import CorpusFacts
from loquela.data.tally import utf8_size
from loquela.monitoring.events import Bus, trace
from loquela.tokenizers.contract import TokenizerHandle

BATCH_DOCUMENTS = 256
BATCH_BYTES = 1 << 20
PROGRESS_BATCHES = 16


class SplitTokens(BoundaryModel):
    """One split from documents to tokens: `tokens` = `text_tokens` + `eos_tokens`; unknown ones are text tokens."""

    documents: int = 0
    bytes: int = 0
    text_tokens: int = 0
    unknown_tokens: int = 0
    eos_tokens: int = 0
    tokens: int = 0


@dataclass
class _Counter:
    """The numbers of `SplitTokens` while they grow."""

    documents: int = 0
    bytes: int = 0
    text_tokens: int = 0
    unknown_tokens: int = 0

    def totals(self) -> SplitTokens:
        return SplitTokens(
            documents=self.documents,
            bytes=self.bytes,
            text_tokens=self.text_tokens,
            unknown_tokens=self.unknown_tokens,
            eos_tokens=self.documents,
            tokens=self.text_tokens + self.documents,
        )


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


def build_shards(
    corpus: Path,
    tokenizer: TokenizerHandle,
    tokenizer_digest: str,
    directory: Path,
    *,
    context: int,
    bus: Bus,
    between_batches: Callable[[], None] = lambda: None,
) -> ShardsFacts:
    """Write shards and `ledger.json` into `directory`; `between_batches` may raise to stop.

    Raises DataError: INSUFFICIENT_DATA without validation text or with less than one row of `context` + 1 tokens to
    train on, TOKENIZATION_FAILED for a tokenizer without an end token or with ids beyond its vocabulary, CORRUPTION.
    """
    if not 0 <= tokenizer.eos_id < tokenizer.vocab_size:
        raise DataError(
            ErrorCode.TOKENIZATION_FAILED,
            f"the {tokenizer.method} tokenizer has no end-of-text token, which separates documents",
            "add an end token (</s> or <eos>) to tokenizer.model_file, or remove that key and let one be trained",
        )
    trace(bus, "DataPreprocessor", "tokenization_start", method=tokenizer.method, vocab_size=tokenizer.vocab_size)
    corpus_facts = CorpusFacts.model_validate(read_manifest(corpus, "corpus").facts)
    counters = {split: _Counter() for split in SPLITS}
    with ExitStack() as files:
        writers = {
            split: files.enter_context(ShardWriter(directory, split, tokenizer.vocab_size, eos_id=tokenizer.eos_id))
            for split in SPLITS
        }
        for number, batch in enumerate(_batches(read_documents(corpus))):
            between_batches()
            _encode(batch, tokenizer, writers, counters)
            if number % PROGRESS_BATCHES == 0:
                done = sum(counter.bytes for counter in counters.values())
                bus.publish("data.prepare_progress.v1", {"bytes": done, "bytes_total": corpus_facts.bytes})
    facts = ShardsFacts(
        vocab_size=tokenizer.vocab_size,
        dtype=dtype_name(tokenizer.vocab_size),
        eos_id=tokenizer.eos_id,
        tokenizer_digest=tokenizer_digest,
        splits={split: writer.facts for split, writer in writers.items()},
    )
    ledger = TokenLedger(splits={split: counter.totals() for split, counter in counters.items()})
    ledger.check(corpus_facts, facts.splits)
    trace(bus, "DataPreprocessor", "tokens_generated", tokens={split: f.tokens for split, f in facts.splits.items()})
    _require_enough(facts, context)
    write_json(directory / LEDGER_NAME, ledger.model_dump(mode="json"))
    return facts


def _batches(documents: Iterator[Document]) -> Iterator[list[Document]]:
    """Neighbouring documents, few and small enough to hold at once."""
    batch: list[Document] = []
    size = 0
    for document in documents:
        batch.append(document)
        size += len(document.text)
        if len(batch) == BATCH_DOCUMENTS or size >= BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _encode(
    batch: list[Document],
    tokenizer: TokenizerHandle,
    writers: Mapping[Split, ShardWriter],
    counters: Mapping[Split, _Counter],
) -> None:
    encoded = tokenizer.encode_batch([document.text for document in batch])
    for document, tokens in zip(batch, encoded, strict=True):
        size = utf8_size(document.text)
        writers[document.split].write(tokens, size, document.id)
        counter = counters[document.split]
        counter.documents += 1
        counter.bytes += size
        counter.text_tokens += len(tokens)
        counter.unknown_tokens += tokens.count(tokenizer.unk_id)


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
