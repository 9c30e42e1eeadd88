"""A SentencePiece .model of algorithm bpe → llama.cpp's llama vocabulary."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Protocol

from loquela.core.extras import require
from loquela.export.formats.gguf.vocabulary_contract import TokenKind, Vocabulary, refused
from loquela.tokenizers.failures import corrupt_file, read_file

BPE = 2
"""SentencePiece's number for the algorithm; unigram is 1."""

UNIGRAM_WHY = (
    "llama.cpp has no unigram model that falls back to bytes and reads U+2581 as a space, as SentencePiece does"
)
UNIGRAM_REMEDY = (
    "set tokenizer.method to unigram, the same algorithm without that rule, or choose another export.format"
)


class Piece(Protocol):
    """One token; `type` has the numbers of llama.cpp's kinds, which were taken from here."""

    piece: str
    score: float
    type: int


class TrainerSpec(Protocol):
    """What a model was trained with."""

    model_type: int
    byte_fallback: bool
    treat_whitespace_as_suffix: bool
    pad_id: int
    unk_id: int
    bos_id: int
    eos_id: int


class NormalizerSpec(Protocol):
    """What a model does to text before it cuts it."""

    name: str
    precompiled_charsmap: bytes
    add_dummy_prefix: bool
    remove_extra_whitespaces: bool
    escape_whitespaces: bool


class ModelFile(Protocol):
    """The parsed file."""

    pieces: list[Piece]
    trainer_spec: TrainerSpec
    normalizer_spec: NormalizerSpec


def sentencepiece_vocabulary(path: Path) -> Vocabulary:
    """The vocabulary of the model at `path`.

    Raises RecipeError(UNSUPPORTED_FORMAT) for one that llama.cpp cannot express, DataError for a file that is none.
    """
    model = _parse(path)
    normalizer, trainer = model.normalizer_spec, model.trainer_spec
    if normalizer.precompiled_charsmap or trainer.treat_whitespace_as_suffix or not normalizer.escape_whitespaces:
        raise refused("its SentencePiece model normalises text in a way that llama.cpp does not know")
    if normalizer.remove_extra_whitespaces:
        raise refused("its SentencePiece model merges spaces, and llama.cpp keeps them")
    if not trainer.byte_fallback:
        raise refused("its SentencePiece model does not fall back to bytes")
    roles = _roles(trainer, [piece.piece for piece in model.pieces])
    if trainer.model_type == BPE:
        return Vocabulary(
            model="llama",
            tokens=[piece.piece for piece in model.pieces],
            kinds=[TokenKind(piece.type) for piece in model.pieces],
            scores=[piece.score for piece in model.pieces],
            roles=roles,
            add_space_prefix=normalizer.add_dummy_prefix,
        )
    raise refused(UNIGRAM_WHY, UNIGRAM_REMEDY)


def _roles(trainer: TrainerSpec, pieces: list[str]) -> dict[str, int]:
    ids = {
        "pad_token": trainer.pad_id,
        "unk_token": trainer.unk_id,
        "bos_token": trainer.bos_id,
        "eos_token": trainer.eos_id,
    }
    return {role: token_id for role, token_id in ids.items() if 0 <= token_id < len(pieces)}


def _parse(path: Path) -> ModelFile:
    definitions: ModuleType = require(
        "sentencepiece.sentencepiece_model_pb2", extra="export", purpose="exporting a SentencePiece tokenizer to gguf"
    )
    data = read_file(path, "SentencePiece model")
    try:
        model: ModelFile = definitions.ModelProto.FromString(data)
    except Exception as error:  # protobuf's DecodeError, whose module is known only when it is installed
        raise corrupt_file(path, str(error)) from error
    return model
