"""A range of a corpus → the token ids of its documents: one task of the prepare stage.

part/<split>.tokens    uint32 little endian, documents one after the other, without eos
part/<split>.lengths   uint32: tokens of each document
part/<split>.sizes     uint32: UTF-8 bytes of each document
part/<split>.ids       16 bytes a document: the first half of its id in the corpus
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import islice
from pathlib import Path
from typing import BinaryIO

import numpy as np
from pydantic import JsonValue

from loquela.artifacts.corpus import SPLITS, Document, Split, read_documents
from loquela.artifacts.shards import ID_BYTES, Ids
from loquela.core.atomic import write_error
from loquela.core.model import BoundaryModel
from loquela.data.tally import utf8_size
from loquela.recipe.schema import TokenizerEngine
from loquela.tokenizers.engines import Engine, EngineFacts, choose_engine
from loquela.tokenizers.load import load_tokenizer

ENTRY = f"{__name__}:encode"
BATCH_DOCUMENTS = 256
BATCH_BYTES = 1 << 20
# Documents at the start of the range on which a faster engine is compared before it is trusted.
SAMPLE_DOCUMENTS = 32
KINDS = ("tokens", "lengths", "sizes", "ids")


class EncodeArguments(BoundaryModel):
    """What to encode: the bytes [start, end) of the corpus's file of documents."""

    corpus: Path
    tokenizer: Path
    start: int
    end: int
    engine: TokenizerEngine = "auto"


class SplitCounts(BoundaryModel):
    """One split of the range; unknown tokens are text tokens."""

    documents: int = 0
    bytes: int = 0
    text_tokens: int = 0
    unknown_tokens: int = 0


class EncodedFacts(BoundaryModel):
    """What came out of a task."""

    splits: dict[str, SplitCounts]
    engine: EngineFacts


def encode(arguments: dict[str, JsonValue], output: Path, between: Callable[[], None]) -> dict[str, JsonValue]:
    """Fill `output`; `arguments` are an `EncodeArguments`. Errors are those of the corpus and of the tokenizer."""
    asked = EncodeArguments.model_validate(arguments)
    tokenizer = load_tokenizer(asked.tokenizer)
    within = (asked.start, asked.end)
    sample = [document.text for document in islice(read_documents(asked.corpus, within=within), SAMPLE_DOCUMENTS)]
    engine, engine_facts = choose_engine(asked.engine, asked.tokenizer, tokenizer, sample)
    counts = {split: SplitCounts() for split in SPLITS}
    with ExitStack() as files:
        writers = {split: _SplitWriter(output, split, files) for split in SPLITS}
        for batch in _batches(read_documents(asked.corpus, within=within)):
            between()
            _encode_batch(batch, engine, tokenizer.unk_id, writers, counts)
    return EncodedFacts(splits={**counts}, engine=engine_facts).model_dump(mode="json")


def read_encoded(folder: Path, split: Split) -> Iterator[tuple[Ids, int, str]]:
    """Tokens, text bytes and corpus id of every document of one split, in order."""
    lengths, sizes = (np.fromfile(folder / f"{split}.{kind}", dtype="<u4") for kind in ("lengths", "sizes"))
    ids = (folder / f"{split}.ids").read_bytes()
    if not len(lengths):
        return
    tokens: Ids = np.memmap(folder / f"{split}.tokens", dtype="<u4", mode="r") if lengths.any() else np.empty(0, "<u4")
    start = 0
    for number, (length, size) in enumerate(zip(lengths.tolist(), sizes.tolist(), strict=True)):
        yield tokens[start : start + length], size, ids[number * ID_BYTES : (number + 1) * ID_BYTES].hex()
        start += length


class _SplitWriter:
    """The four files of one split."""

    def __init__(self, folder: Path, split: str, files: ExitStack) -> None:
        self.folder = folder
        try:
            self._streams: dict[str, BinaryIO] = {
                kind: files.enter_context((folder / f"{split}.{kind}").open("wb", buffering=1 << 18)) for kind in KINDS
            }
        except OSError as error:
            raise write_error(error, folder) from error

    def write(self, tokens: Ids, size: int, document_id: str) -> None:
        """Append one document."""
        try:
            self._streams["tokens"].write(tokens.astype("<u4").tobytes())
            self._streams["lengths"].write(len(tokens).to_bytes(4, "little"))
            self._streams["sizes"].write(size.to_bytes(4, "little"))
            self._streams["ids"].write(bytes.fromhex(document_id)[:ID_BYTES])
        except OSError as error:
            raise write_error(error, self.folder) from error


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


def _encode_batch(
    batch: list[Document],
    engine: Engine,
    unknown_id: int,
    writers: dict[Split, _SplitWriter],
    counts: dict[Split, SplitCounts],
) -> None:
    encoded = engine.encode_batch([document.text for document in batch])
    for document, tokens in zip(batch, encoded, strict=True):
        size = utf8_size(document.text)
        writers[document.split].write(tokens, size, document.id)
        count = counts[document.split]
        count.documents += 1
        count.bytes += size
        count.text_tokens += len(tokens)
        count.unknown_tokens += int((tokens == unknown_id).sum()) if unknown_id >= 0 else 0
