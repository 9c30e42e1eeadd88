"""Training texts → a tokenizer folder, with what it does to the held-out texts."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Literal

from loquela.core.digests import digest_json
from loquela.core.errors import ErrorCode, InternalError
from loquela.monitoring.events import Bus, trace
from loquela.recipe.schema import TokenizerSection
from loquela.tokenizers.adopt import adopt
from loquela.tokenizers.contract import (
    TextStream,
    TokenizerArtifact,
    TokenizerBackend,
    TokenizerConfig,
    TokenizerHandle,
    TokenizerStats,
    TokenizerTrainRequest,
)
from loquela.tokenizers.failures import check_unicode
from loquela.tokenizers.load import load_foreign
from loquela.tokenizers.manifest import TokenizerManifest, record_files, write_tokenizer_manifest
from loquela.tokenizers.methods import TOKENIZERS
from loquela.tokenizers.statistics import measure

COMPONENT = "TokenizerTrainer"
LIBRARIES = ("sentencepiece", "tokenizers")


def train_tokenizer(
    section: TokenizerSection, train_texts: TextStream, holdout_texts: TextStream, directory: Path, bus: Bus
) -> TokenizerStats:
    """Fill `directory` with a tokenizer trained on `train_texts`, or with `section.model_file`, and measure it.

    Raises RecipeError (NOT_REGISTERED, TOKENIZER_TRAIN_FAILED, UNSUPPORTED_FORMAT) and DataError
    (TOKENIZER_TRAIN_FAILED, DATA_NOT_FOUND, CORRUPTION).
    """
    if section.model_file is not None:
        trace(bus, COMPONENT, "load_start", model_file=section.model_file.name)
        artifact = adopt(section.model_file, directory)
        handle = load_foreign(directory)
        stats = measure(handle, holdout_texts)
    else:
        trace(bus, COMPONENT, "train_start", method=section.method, vocab_size=section.vocab_size)
        backend = TOKENIZERS.get(section.method)
        artifact = _train(backend, section, train_texts, directory)
        handle = backend.load(str(directory))
        stats = backend.inspect(handle, holdout_texts)
        stats.requested_vocab_size = section.vocab_size
    stats.loses = artifact.loses
    stats.notes = [*artifact.notes, *_remarks(stats)]
    _record(section, artifact, handle, stats, directory)
    trace(bus, COMPONENT, "train_complete", **stats.model_dump(mode="json"))
    return stats


def _train(
    backend: TokenizerBackend, section: TokenizerSection, train_texts: TextStream, directory: Path
) -> TokenizerArtifact:
    if section.method not in backend.supported_methods():
        raise InternalError(
            ErrorCode.INTERNAL,
            f"the tokenizer registered as {section.method!r} says that it trains {sorted(backend.supported_methods())}",
            "correct supported_methods() in the package that registers it",
        )
    return backend.train(
        _config(section), TokenizerTrainRequest(train_texts=lambda: _unicode(train_texts()), directory=directory)
    )


def _unicode(texts: Iterator[str]) -> Iterator[str]:
    for text in texts:
        check_unicode(text)
        yield text


def _config(section: TokenizerSection) -> TokenizerConfig:
    return TokenizerConfig(
        method=section.method,
        vocab_size=section.vocab_size,
        min_frequency=section.min_frequency,
        model_type=section.sentencepiece_model_type,
    )


def _remarks(stats: TokenizerStats) -> list[str]:
    """What a person should know without reading the numbers."""
    remarks = []
    asked = stats.requested_vocab_size
    if asked is not None and stats.vocab_size < asked:
        remarks.append(f"the training text gives {stats.vocab_size} tokens; {asked} were asked for")
    if stats.documents == 0:
        remarks.append("no held-out text: nothing was measured")
    if stats.unknown_tokens:
        remarks.append(f"{stats.unknown_tokens} of {stats.token_count} held-out tokens are unknown")
    return remarks


def _record(
    section: TokenizerSection,
    artifact: TokenizerArtifact,
    handle: TokenizerHandle,
    stats: TokenizerStats,
    directory: Path,
) -> None:
    origin: Literal["trained", "loaded"] = "trained" if section.model_file is None else "loaded"
    # the registered name, not what a stranger's handle calls itself: loading looks it up again
    method = section.method if section.model_file is None else handle.method
    manifest = TokenizerManifest(
        method=method,
        origin=origin,
        source=section.model_file.name if section.model_file is not None else None,
        config=_config(section).model_copy(update={"method": method, "vocab_size": stats.vocab_size}),
        files=record_files(directory, artifact.files),
        vocabulary_digest=digest_json([handle.token_text(token_id) for token_id in range(handle.vocab_size)]),
        special_ids={"pad": handle.pad_id, "unk": handle.unk_id, "bos": handle.bos_id, "eos": handle.eos_id},
        libraries={name: version(name) for name in LIBRARIES},
        statistics=stats,
    )
    write_tokenizer_manifest(directory, manifest)
