"""A GGUF file → a Hugging Face folder with the same numbers, proven tensor by tensor.

tensors ─ dequantise, put rows in order ─▶ shards ─ read again ─ put back, compare with the file ─▶ conversion.json
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import torch
from pydantic import JsonValue
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from loquela.core.atomic import atomic_path, write_json
from loquela.core.digests import digest_file
from loquela.core.errors import ErrorCode, ProofError
from loquela.models.pretrained.folder_files import CONFIG_NAME, INDEX_NAME, WEIGHTS_NAME
from loquela.models.pretrained.gguf_file import GgufFile
from loquela.models.pretrained.gguf_network import heads_of, network_config, stock_name, uninterleaved
from loquela.models.pretrained.gguf_tokenizer import write_tokenizer

CONVERSION_NAME = "conversion.json"
SHARD_BYTES = 4 * 2**30


def convert(path: Path, folder: Path) -> None:
    """Write the model in `path` to `folder`: quantised weights in float32, others as they are stored.

    Raises DataError (CORRUPTION, UNSUPPORTED_FORMAT), ProofError when what was written is not what the file holds.
    """
    file = GgufFile(path)
    config = network_config(file)
    write_tokenizer(file, folder)
    places = _write_weights(file, folder, SHARD_BYTES)
    _prove(file, folder, places)
    write_json(folder / CONFIG_NAME, config)
    kinds: dict[str, JsonValue] = dict(sorted(Counter(tensor.kind for tensor in file.tensors.values()).items()))
    record: dict[str, JsonValue] = {
        "file": path.name,
        "size": path.stat().st_size,
        "sha256": digest_file(path),
        "tensors": kinds,
        "compared": len(places),
        "different": 0,
    }
    write_json(folder / CONVERSION_NAME, record)


def _write_weights(file: GgufFile, folder: Path, shard_bytes: int) -> dict[str, str]:
    """Write all tensors; returns the shard of each of the file's."""
    shards: list[list[str]] = [[]]
    filled = 0
    for name, tensor in file.tensors.items():
        if shards[-1] and filled + tensor.size_bytes > shard_bytes:
            shards.append([])
            filled = 0
        shards[-1].append(name)
        filled += tensor.size_bytes
    places: dict[str, str] = {}
    for number, names in enumerate(shards, start=1):
        shard = WEIGHTS_NAME if len(shards) == 1 else f"model-{number:05}-of-{len(shards):05}.safetensors"
        tensors = {stock_name(file, name): _in_order(file, name) for name in names}
        with atomic_path(folder / shard) as temporary:
            save_file(tensors, temporary, metadata={"format": "pt"})
        places |= dict.fromkeys(names, shard)
    if len(shards) > 1:
        total = sum(tensor.size_bytes for tensor in file.tensors.values())
        mapping: dict[str, JsonValue] = {stock_name(file, name): shard for name, shard in sorted(places.items())}
        write_json(folder / INDEX_NAME, {"metadata": {"total_size": total}, "weight_map": mapping})
    return places


def _in_order(file: GgufFile, name: str) -> Tensor:
    heads = heads_of(file, name)
    values = file.tensors[name].values()
    return values if heads is None else uninterleaved(values, heads)


def _prove(file: GgufFile, folder: Path, places: dict[str, str]) -> None:
    """Every tensor on disk, its rows put back, is the file's, bit by bit."""
    for name, shard in places.items():
        with safe_open(folder / shard, "pt") as stream:
            written: Tensor = stream.get_tensor(stock_name(file, name))
        heads = heads_of(file, name)
        back = written if heads is None else _interleaved(written, heads)
        if not torch.equal(back, file.tensors[name].values()):
            raise ProofError(
                ErrorCode.VALIDATION_FAILED,
                f"{name} of {file.path} was not written as it is",
                "report this as a bug of Loquela, with the name of the GGUF file",
            )


def _interleaved(rows: Tensor, heads: int) -> Tensor:
    """Row i + d/2 of every head behind row i, as llama.cpp has them."""
    halves = rows.reshape(heads, 2, -1, *rows.shape[1:])
    return torch.stack([halves[:, 0], halves[:, 1]], dim=2).reshape(rows.shape)
