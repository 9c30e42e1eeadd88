"""A Hugging Face folder → the identity of a base, every part of it checked against the others; no tensor is loaded."""

from __future__ import annotations

from pathlib import Path

from pydantic import JsonValue

from loquela.artifacts.base import BaseIdentity, BaseKind, hash_files
from loquela.models.pretrained.failures import unusable
from loquela.models.pretrained.folder_files import (
    CONFIG_NAME,
    GENERATION_NAME,
    TOKENIZER_CONFIG_NAME,
    TOKENIZER_NAME,
    base_files,
    optional_json,
    read_json,
    weight_files,
)
from loquela.models.pretrained.safetensors_headers import FLOATING, TensorHeader, read_headers
from loquela.models.pretrained.shapes import EMBEDDINGS, HEAD, NOT_LEARNT, architecture_of, context_of, is_tied


def identify(
    folder: Path,
    *,
    source: str,
    kind: BaseKind = "folder",
    revision: str | None = None,
    location: str | None = None,
    links_within: Path | None = None,
) -> BaseIdentity:
    """Who the base in `folder` is.

    Raises DataError: DATA_NOT_FOUND, UNSUPPORTED_FORMAT, CORRUPTION, PRETRAINED_LOAD_FAILED; each says what and where.
    """
    names = base_files(folder, links_within=links_within)
    config = read_json(folder / CONFIG_NAME)
    model_type, architecture = architecture_of(folder, config)
    if "quantization_config" in config:
        raise unusable(folder, "its weights are quantised already", "give the same model in full precision")
    tensors = _tensors(folder)
    tied = is_tied(model_type, config)
    rows = _embedding_rows(folder, config, tensors)
    tokens = token_ids(folder)
    tokenizer_size = max(tokens.values()) + 1
    if tokenizer_size > rows:
        raise unusable(
            folder,
            f"its tokenizer has {tokenizer_size:,} tokens, its embedding only {rows:,} rows",
            "give the tokenizer that the model was trained with",
        )
    return BaseIdentity(
        source=source,
        kind=kind,
        revision=revision,
        location=str(folder.resolve()) if location is None else location,
        architecture=architecture,
        model_type=model_type,
        parameters=_parameters(folder, tensors, tied),
        vocab_size=rows,
        tokenizer_size=tokenizer_size,
        context=context_of(folder, config),
        tied=tied,
        eos_ids=_stop_ids(folder, config, tokens, rows),
        files=hash_files(folder, names),
    ).sealed()


def token_ids(folder: Path) -> dict[str, int]:
    """Every token of tokenizer.json with its id; DataError(PRETRAINED_LOAD_FAILED) when it has none."""
    document = read_json(folder / TOKENIZER_NAME)
    model = document.get("model")
    vocabulary = model.get("vocab") if isinstance(model, dict) else None
    found: dict[str, int] = {}
    if isinstance(vocabulary, dict):
        found = {token: number for token, number in vocabulary.items() if isinstance(number, int)}
    elif isinstance(vocabulary, list):
        pairs = [entry[0] if isinstance(entry, list) and entry else entry for entry in vocabulary]
        found = {str(token): number for number, token in enumerate(pairs)}
    added = document.get("added_tokens")
    for entry in added if isinstance(added, list) else []:
        if isinstance(entry, dict) and isinstance(entry.get("content"), str) and isinstance(entry.get("id"), int):
            found[str(entry["content"])] = int(str(entry["id"]))
    if not found:
        raise unusable(folder, f"{TOKENIZER_NAME} has no vocabulary")
    return found


def _tensors(folder: Path) -> dict[str, TensorHeader]:
    found: dict[str, TensorHeader] = {}
    for name in weight_files(folder):
        found |= read_headers(folder / name)
    odd = sorted({tensor.dtype for tensor in found.values()} - set(FLOATING) - {"BOOL", "U8"})
    if odd:
        raise unusable(folder, f"it has tensors of type {odd[0]}", "give the same model in full precision")
    return found


def _embedding_rows(folder: Path, config: dict[str, JsonValue], tensors: dict[str, TensorHeader]) -> int:
    embedding = next((tensors[name] for name in EMBEDDINGS if name in tensors), None)
    if embedding is None or len(embedding.shape) != 2:
        raise unusable(folder, f"its weights have no embedding ({', '.join(EMBEDDINGS)})")
    said = config.get("vocab_size", embedding.shape[0])
    if said != embedding.shape[0]:
        raise unusable(
            folder,
            f"{CONFIG_NAME} says vocab_size {said}, its embedding has {embedding.shape[0]} rows",
            "mend config.json",
        )
    return embedding.shape[0]


def _parameters(folder: Path, tensors: dict[str, TensorHeader], tied: bool) -> int:
    if not tied and HEAD not in tensors:
        raise unusable(folder, f"{HEAD} is missing, and {CONFIG_NAME} does not tie it to the embedding")
    counted = {name: tensor for name, tensor in tensors.items() if not name.endswith(NOT_LEARNT)}
    return sum(
        tensor.size for name, tensor in counted.items() if tensor.dtype in FLOATING and not (tied and name == HEAD)
    )


def _stop_ids(folder: Path, config: dict[str, JsonValue], tokens: dict[str, int], rows: int) -> list[int]:
    """Where generation stops: by generation_config.json, config.json and the tokenizer's own end of text."""
    named = optional_json(folder / TOKENIZER_CONFIG_NAME).get("eos_token")
    name = named.get("content") if isinstance(named, dict) else named
    ids = {tokens[name]} if isinstance(name, str) and name in tokens else set()
    for settings in (config, optional_json(folder / GENERATION_NAME)):
        said = settings.get("eos_token_id")
        ids |= {number for number in (said if isinstance(said, list) else [said]) if isinstance(number, int)}
    beyond = sorted(number for number in ids if not 0 <= number < rows)
    if beyond:
        raise unusable(
            folder, f"its stop token {beyond[0]} is no row of its embedding of {rows:,}", "mend eos_token_id"
        )
    if not ids:
        raise unusable(
            folder,
            "neither its tokenizer nor its configuration names a stop token: it would never end an answer",
            f"write eos_token into {TOKENIZER_CONFIG_NAME}",
        )
    return sorted(ids)
