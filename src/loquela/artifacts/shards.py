"""The shards artifact: token ids on disk, readable with three lines of numpy.

    shards/
      train/shard-00000.bin   uint16 or uint32 little endian; every document is followed by eos
      train/shard-00000.idx   uint64 little endian: offset of every document start in that shard, then its end
      train/shard-00000.ids   16 bytes a document: the first half of its id in the corpus, where it came from one
      validation/…  test/…
      manifest.json           kind "shards", facts = `ShardsFacts`

Opening checks sizes and counts, reading checks that every id is in the vocabulary; digests are proved by
`artifacts.manifest.verify`.
"""

from __future__ import annotations

import bisect
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, ValidationError

from loquela.artifacts.corpus import SPLITS
from loquela.artifacts.manifest import corrupt, read_manifest
from loquela.core.atomic import atomic_path, write_bytes, write_error
from loquela.core.errors import DataError, ErrorCode, InternalError
from loquela.core.model import BoundaryModel

Tokens = NDArray[np.int64]
Ids = NDArray[np.uint32]
DtypeName = Literal["uint16", "uint32"]

# 2^25 tokens = 64 MiB of uint16: large enough for sequential reads, small enough to copy or to retry.
SHARD_TOKENS = 2**25
ID_BYTES = 16


class ShardFile(BoundaryModel):
    """One shard: path of the .bin relative to the artifact's folder, and how many tokens it holds."""

    file: str
    tokens: int


class SplitFacts(BoundaryModel):
    """Totals of one split; `tokens` includes one eos a document, `bytes` are UTF-8 bytes of the document texts."""

    tokens: int = 0
    documents: int = 0
    bytes: int = 0
    shards: list[ShardFile] = Field(default_factory=list)


class ShardsFacts(BoundaryModel):
    """The manifest facts of a shards artifact; `tokenizer_digest` is that of the tokenizer's manifest."""

    vocab_size: int
    dtype: DtypeName
    eos_id: int
    tokenizer_digest: str = ""
    splits: dict[str, SplitFacts]


def dtype_name(vocab_size: int) -> DtypeName:
    """The narrowest of the two types that holds every id below `vocab_size`."""
    return "uint16" if vocab_size <= 2**16 else "uint32"


def _disk_dtype(name: DtypeName) -> np.dtype[np.uint16] | np.dtype[np.uint32]:
    return np.dtype("<u2") if name == "uint16" else np.dtype("<u4")


class ShardWriter:
    """Writes the documents of one split as shards; `facts` are complete when the `with` block has ended.

    A document is never spread over two shards; a shard is closed once it holds `shard_tokens` or more.
    """

    def __init__(
        self, directory: Path, split: str, vocab_size: int, shard_tokens: int = SHARD_TOKENS, *, eos_id: int = 3
    ) -> None:
        self.directory = directory
        self.split = split
        self.vocab_size = vocab_size
        self.shard_tokens = shard_tokens
        self.eos_id = eos_id
        self._documents = self._tokens = self._bytes = 0
        self._shards: list[ShardFile] = []
        self._dtype = _disk_dtype(dtype_name(vocab_size))
        self._files: ExitStack | None = None
        self._offsets: list[int] = [0]
        self._ids = bytearray()

    @property
    def facts(self) -> SplitFacts:
        """Totals of what was written so far."""
        return SplitFacts(tokens=self._tokens, documents=self._documents, bytes=self._bytes, shards=list(self._shards))

    def __enter__(self) -> Self:
        return self

    def write(self, tokens: list[int] | Ids, text_bytes: int, document_id: str | None = None) -> None:
        """Append one document (without eos, which is added here) whose text has `text_bytes` UTF-8 bytes.

        `document_id` is its id in the corpus; all documents have one, or none. Raises DataError(TOKENIZATION_FAILED)
        for a token outside the vocabulary, ResourceError when writing fails.
        """
        ids = np.append(np.asarray(tokens, dtype=np.int64), self.eos_id)
        if ids.min() < 0 or ids.max() >= self.vocab_size:
            wrong = next(i for i in ids.tolist() if not 0 <= i < self.vocab_size)
            raise DataError(
                ErrorCode.TOKENIZATION_FAILED,
                f"the tokenizer made the id {wrong}, but its vocabulary has {self.vocab_size} tokens",
                "train the tokenizer anew, or give a tokenizer file whose vocabulary is complete",
            )
        if self._files is None:
            self._open_shard()
        try:
            self._stream.write(ids.astype(self._dtype).tobytes())
        except OSError as error:
            raise write_error(error, self.path) from error
        self._offsets.append(self._offsets[-1] + len(ids))
        self._documents += 1
        self._tokens += len(ids)
        self._bytes += text_bytes
        if document_id is not None:
            self._ids += bytes.fromhex(document_id)[:ID_BYTES]
        if self._offsets[-1] >= self.shard_tokens:
            self._close_shard()

    def _open_shard(self) -> None:
        self.path = self.directory / self.split / f"shard-{len(self._shards):05d}.bin"
        self._files = ExitStack()
        temporary = self._files.enter_context(atomic_path(self.path))
        self._stream = self._files.enter_context(temporary.open("wb", buffering=1 << 20))
        self._offsets = [0]

    def _close_shard(self) -> None:
        if self._files is None:
            return
        files, self._files = self._files, None
        files.close()
        write_bytes(self.path.with_suffix(".idx"), np.array(self._offsets, dtype="<u8").tobytes())
        if self._ids:
            write_bytes(self.path.with_suffix(".ids"), bytes(self._ids))
            self._ids.clear()
        name = self.path.relative_to(self.directory).as_posix()
        self._shards.append(ShardFile(file=name, tokens=self._offsets[-1]))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self._close_shard()
        elif self._files is not None:
            self._files.__exit__(kind, error, trace)


class TokenShards:
    """The token stream of one split, read through memory maps.

    `tokens_total`, `documents` and `bytes_total` are those of the split, `digest` that of the whole artifact.
    Raises DataError: DATASET_NOT_FOUND for a missing artifact or split, CORRUPTION for wrong sizes or counts.
    """

    def __init__(self, directory: Path, split: str) -> None:
        manifest = read_manifest(directory, "shards")
        try:
            facts = ShardsFacts.model_validate(manifest.facts)
        except ValidationError as error:
            raise corrupt(directory, f"the facts in its manifest are not those of shards: {error}") from error
        if split not in facts.splits:
            raise DataError(
                ErrorCode.DATASET_NOT_FOUND,
                f"{directory} has no split {split!r}; it has: {', '.join(facts.splits)}",
                f"use one of {', '.join(SPLITS)}",
            )
        self.directory = directory
        self.split = split
        self.vocab_size = facts.vocab_size
        self.eos_id = facts.eos_id
        self.tokenizer_digest = facts.tokenizer_digest
        self.digest = manifest.digest
        self._dtype = _disk_dtype(facts.dtype)
        self._facts = facts.splits[split]
        self.tokens_total = self._facts.tokens
        self.documents = self._facts.documents
        self.bytes_total = self._facts.bytes
        self._check_sizes()
        self._starts = [0]
        for shard in self._facts.shards:
            self._starts.append(self._starts[-1] + shard.tokens)
        self._maps: dict[int, np.memmap[tuple[int], np.dtype[np.uint16] | np.dtype[np.uint32]]] = {}

    def __reduce__(self) -> tuple[type[TokenShards], tuple[Path, str]]:
        """A loader's worker process opens the files itself: a memory map would be copied whole."""
        return TokenShards, (self.directory, self.split)

    def read(self, start: int, stop: int) -> Tokens:
        """Tokens `start` to `stop` (exclusive) of the split's stream, int64.

        Raises DataError(CORRUPT_BATCH) with file and position for an id outside the vocabulary.
        """
        if not 0 <= start <= stop <= self.tokens_total:
            raise InternalError(
                ErrorCode.INTERNAL,
                f"tokens {start} to {stop} asked of the {self.tokens_total} in {self.directory / self.split}",
                "report this as a bug, with the command that led to it",
            )
        tokens = np.empty(stop - start, dtype=np.int64)
        index = bisect.bisect_right(self._starts, start) - 1
        position = start
        while position < stop:
            end = min(stop, self._starts[index + 1])
            base = self._starts[index]
            tokens[position - start : end - start] = self._map(index)[position - base : end - base]
            position = end
            index += 1
        if len(tokens) and tokens.max() >= self.vocab_size:
            first = int(np.argmax(tokens >= self.vocab_size))
            raise self._bad_token(start + first, int(tokens[first]))
        return tokens

    def _map(self, index: int) -> np.memmap[tuple[int], np.dtype[np.uint16] | np.dtype[np.uint32]]:
        if index not in self._maps:
            shard = self._facts.shards[index]
            self._maps[index] = np.memmap(
                self.directory / shard.file, dtype=self._dtype, mode="r", shape=(shard.tokens,)
            )
        return self._maps[index]

    def _bad_token(self, position: int, token: int) -> DataError:
        index = bisect.bisect_right(self._starts, position) - 1
        path = self.directory / self._facts.shards[index].file
        inside = position - self._starts[index]
        return DataError(
            ErrorCode.CORRUPT_BATCH,
            f"{path}, token {inside} (byte {inside * self._dtype.itemsize}): id {token} is outside the vocabulary "
            f"of {self.vocab_size}",
            f"delete {self.directory} and run the same command again; the prepare stage will run anew",
            details={"path": str(path), "position": inside, "token": token},
        )

    def _check_sizes(self) -> None:
        documents = 0
        for shard in self._facts.shards:
            path = self.directory / shard.file
            if not path.is_file():
                raise corrupt(self.directory, f"{shard.file} is missing")
            size, expected = path.stat().st_size, shard.tokens * self._dtype.itemsize
            if size != expected:
                raise corrupt(
                    self.directory, f"{shard.file} has {size} bytes, but {shard.tokens} tokens take {expected}"
                )
            documents += self._count_documents(shard)
        if documents != self.documents:
            raise corrupt(self.directory, f"{self.split} indexes {documents} documents, not {self.documents}")
        tokens = sum(shard.tokens for shard in self._facts.shards)
        if tokens != self.tokens_total:
            raise corrupt(self.directory, f"the shards of {self.split} hold {tokens} tokens, not {self.tokens_total}")

    def _count_documents(self, shard: ShardFile) -> int:
        """Documents in a shard's index, whose last entry must be the shard's length."""
        name = Path(shard.file).with_suffix(".idx").as_posix()
        path = self.directory / name
        size = path.stat().st_size if path.is_file() else 0
        if size < 16 or size % 8:
            raise corrupt(self.directory, f"{name} is missing or truncated ({size} bytes)")
        with path.open("rb") as stream:
            stream.seek(-8, 2)
            end = int.from_bytes(stream.read(8), "little")
        if end != shard.tokens:
            raise corrupt(self.directory, f"{name} ends at token {end}, its shard at {shard.tokens}")
        return size // 8 - 1


def require_tokenizer(shards: TokenShards, tokenizer: Path) -> None:
    """DataError(DATA_CHANGED) unless the tokenizer artifact in `tokenizer` is the one the shards were made with."""
    digest = read_manifest(tokenizer, "tokenizer").digest
    if shards.tokenizer_digest != digest:
        raise DataError(
            ErrorCode.DATA_CHANGED,
            f"the shards in {shards.directory} were made with the tokenizer {shards.tokenizer_digest[:12]}…, "
            f"not with {digest[:12]}… in {tokenizer}",
            f"delete {shards.directory} and run the same command again; the prepare stage will run anew",
            details={"shards_tokenizer": shards.tokenizer_digest, "tokenizer": digest},
        )
