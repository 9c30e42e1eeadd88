"""Which document a token of the shards belongs to."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from loquela.artifacts.manifest import corrupt, read_manifest
from loquela.artifacts.shards import ID_BYTES, ShardFile, ShardsFacts, TokenShards
from loquela.core.errors import DataError, ErrorCode
from loquela.core.model import BoundaryModel


class DocumentSpan(BoundaryModel):
    """Tokens [start, end) of a split's stream are one document, its eos included.

    `number` counts the documents of the split from 0; `id` is that in the corpus, None for shards not made from one.
    """

    number: int
    id: str | None
    start: int
    end: int
    shard: str


def document_at(directory: Path, split: str, token: int) -> DocumentSpan:
    """The document that token number `token` of the split's stream belongs to, counted from 0.

    Raises DataError: DATA_NOT_FOUND for a number beyond the stream, and what opening the shards raises.
    """
    shards = TokenShards(directory, split)
    if not 0 <= token < shards.tokens_total:
        raise DataError(
            ErrorCode.DATA_NOT_FOUND,
            f"there is no token {token:,} in {split}: it has {shards.tokens_total:,}, counted from 0",
            f"give a number from 0 to {shards.tokens_total - 1}",
            details={"token": token, "tokens": shards.tokens_total},
        )
    start = documents = 0
    for shard in ShardsFacts.model_validate(read_manifest(directory, "shards").facts).splits[split].shards:
        offsets = np.fromfile((directory / shard.file).with_suffix(".idx"), dtype="<u8")
        if token < start + shard.tokens:
            inside = int(np.searchsorted(offsets, token - start, side="right")) - 1
            return DocumentSpan(
                number=documents + inside,
                id=_document_id(directory, shard, inside, len(offsets) - 1),
                start=start + int(offsets[inside]),
                end=start + int(offsets[inside + 1]),
                shard=shard.file,
            )
        start += shard.tokens
        documents += len(offsets) - 1
    raise corrupt(directory, f"its shards hold {start} tokens of {split}")


def _document_id(directory: Path, shard: ShardFile, number: int, documents: int) -> str | None:
    path = (directory / shard.file).with_suffix(".ids")
    if not path.is_file():
        return None
    ids = path.read_bytes()
    if len(ids) != documents * ID_BYTES:
        raise corrupt(directory, f"{path.name} has {len(ids)} bytes, but {documents} ids take {documents * ID_BYTES}")
    return ids[number * ID_BYTES : (number + 1) * ID_BYTES].hex()
