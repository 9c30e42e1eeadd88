"""Thin typed adapter around `tokie`, which encodes with the same tokenizer.json several times faster."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from loquela.core.errors import ErrorCode, ProofError
from loquela.core.extras import require
from loquela.tokenizers.huggingface import disarm, read_document

# What its Rust side raises for its own faults; it derives from BaseException and has no importable name.
PANIC = "PanicException"


class _Encoder(Protocol):
    def encode_batch_flat(
        self, texts: list[str], add_special_tokens: bool
    ) -> tuple[NDArray[np.uint32], NDArray[np.uint64]]: ...


class _Encoders(Protocol):
    def from_json(self, path: str) -> _Encoder: ...


class TokieEngine:
    """One tokenizer, opened by tokie."""

    name = "tokie"

    def __init__(self, encoder: _Encoder) -> None:
        self._encoder = encoder

    def encode_batch(self, texts: list[str]) -> list[NDArray[np.uint32]] | None:
        """Ids of every text; None when tokie cannot encode one of them, which the tokenizer may explain better."""
        try:
            ids, lengths = self._encoder.encode_batch_flat(texts, False)
        except (UnicodeEncodeError, ValueError):
            return None
        except BaseException as error:
            if type(error).__name__ != PANIC:
                raise
            return None
        return np.split(ids, np.cumsum(lengths)[:-1].astype(np.int64)) if len(texts) else []


def tokie_engine(path: Path) -> TokieEngine:
    """Open the tokenizer.json at `path`; ProofError when tokie cannot, ResourceError(MISSING_EXTRA) without tokie."""
    encoders: _Encoders = require("tokie", extra="data", purpose="compute.tokenizer_engine: tokie").Tokenizer
    document = read_document(path)
    disarm(document)
    # Without added tokens, text that spells a special token stays text, as everywhere here.
    document["added_tokens"] = []
    with tempfile.TemporaryDirectory(prefix="loquela-") as folder:
        copy = Path(folder) / path.name
        copy.write_text(json.dumps(document, ensure_ascii=False), encoding="utf-8")
        try:
            return TokieEngine(encoders.from_json(str(copy)))
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt | SystemExit):
                raise
            raise ProofError(
                ErrorCode.TOKENIZATION_FAILED,
                f"tokie cannot read this tokenizer: {error}",
                "set compute.tokenizer_engine: auto or library",
            ) from error
