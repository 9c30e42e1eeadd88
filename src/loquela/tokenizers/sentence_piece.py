"""Thin typed adapter around the `sentencepiece` library: training on counted chunks, and a handle."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Protocol

from sentencepiece import SentencePieceProcessor, SentencePieceTrainer

from loquela.tokenizers.contract import (
    BEGIN,
    END,
    MODEL_NAME,
    PAD,
    SPECIAL_TOKENS,
    UNKNOWN,
    TokenizerConfig,
    TokenizerTrainRequest,
)
from loquela.tokenizers.counting import chunks, count, within
from loquela.tokenizers.failures import (
    check_ids,
    check_unicode,
    corrupt_file,
    no_text,
    nothing_frequent,
    read_file,
    training_failed,
    vocabulary_too_small,
)

SPACE_MARK = "▁"
"""U+2581, which SentencePiece writes for a space; a text that holds the sign itself gets a space back."""

UNLEARNABLE = {"\t", "\0", SPACE_MARK, "▅"}
"""Signs the trainer reserves (column separator, terminator, space, unknown); they encode as bytes."""

BYTE_TOKENS = [f"<0x{byte:02X}>" for byte in range(256)]

SPELLING = sorted(set("".join(SPECIAL_TOKENS) + "".join(BYTE_TOKENS)))
"""Characters that spell the special and byte tokens: always in the alphabet, so that text which spells one has
an encoding of its own.
"""


class Processor(Protocol):
    """The part of SentencePieceProcessor used here, typed."""

    def encode(self, input: list[str], *, num_threads: int) -> list[list[int]]:
        """Ids of each text."""

    def decode(self, input: list[int]) -> str:
        """Text of the ids."""

    def id_to_piece(self, id: int) -> str:
        """Token as stored."""

    def get_score(self, id: int) -> float:
        """Log probability of the token."""

    def is_control(self, id: int) -> bool:
        """Whether the token never stands for text."""

    def is_unknown(self, id: int) -> bool:
        """Whether it is the unknown token."""

    def get_piece_size(self) -> int:
        """Vocabulary size."""

    def pad_id(self) -> int:
        """-1: none."""

    def unk_id(self) -> int:
        """-1: none."""

    def bos_id(self) -> int:
        """-1: none."""

    def eos_id(self) -> int:
        """-1: none."""


def train_model(config: TokenizerConfig, request: TokenizerTrainRequest) -> tuple[bytes, list[str]]:
    """A SentencePiece model of the training texts, and notes on what was left out.

    The trainer is given each distinct chunk once with its count: the same likelihood as the whole text, in time
    and memory that follow the vocabulary of the corpus, not its size. A newline is a sign like any other.
    """
    counts, dropped = count(chunks(request.train_texts()))
    if not counts:
        raise no_text(config.method)
    characters, _ = count(sign for chunk, times in counts.items() for sign in chunk * min(times, config.min_frequency))
    learnt = {sign for sign, times in characters.items() if times >= config.min_frequency} - UNLEARNABLE
    rows = sorted(within(counts, learnt).items())
    if not rows:
        raise nothing_frequent(config.method, config.min_frequency)
    alphabet = learnt | set(SPELLING)
    needed = len(SPECIAL_TOKENS) + len(BYTE_TOKENS) + len(alphabet - {" "}) + 1
    if config.vocab_size < needed:
        why = f"4 special tokens, 256 bytes and an alphabet of {needed - 260} characters"
        raise vocabulary_too_small(config.method, config.vocab_size, needed, why)
    notes = [f"chunks seen {dropped} times or fewer were not learnt from, to stay in memory"] if dropped else []
    return _run_trainer(config, request, rows), notes


def _run_trainer(config: TokenizerConfig, request: TokenizerTrainRequest, rows: list[tuple[str, int]]) -> bytes:
    written = io.BytesIO()
    try:
        SentencePieceTrainer.train(
            sentence_iterator=_lines(rows),
            model_writer=written,
            input_format="tsv",
            model_type=config.model_type,
            vocab_size=config.vocab_size,
            hard_vocab_limit=False,
            normalization_rule_name="identity",
            add_dummy_prefix=False,
            remove_extra_whitespaces=False,
            allow_whitespace_only_pieces=True,
            split_digits=True,
            byte_fallback=True,
            character_coverage=1.0,
            required_chars="".join(SPELLING),
            num_threads=request.threads,
            minloglevel=3,
            pad_id=SPECIAL_TOKENS.index(PAD),
            unk_id=SPECIAL_TOKENS.index(UNKNOWN),
            bos_id=SPECIAL_TOKENS.index(BEGIN),
            eos_id=SPECIAL_TOKENS.index(END),
            pad_piece=PAD,
            unk_piece=UNKNOWN,
            bos_piece=BEGIN,
            eos_piece=END,
            unk_surface="",
        )
    except (RuntimeError, ValueError, OSError) as error:
        raise training_failed(config.method, str(error)) from error
    return written.getvalue()


def _lines(rows: Iterable[tuple[str, int]]) -> Iterator[str]:
    """The rows as the trainer reads them: chunk, tab, count."""
    for chunk, times in rows:
        yield f"{chunk}\t{times}"


def open_model(data: bytes, path: Path) -> Processor:
    """A processor of the model in `data`; DataError(CORRUPTION) when it is none."""
    try:
        processor = SentencePieceProcessor(model_proto=data)
    except (RuntimeError, ValueError, OSError) as error:
        raise corrupt_file(path, str(error)) from error
    if processor.get_piece_size() == 0:
        raise corrupt_file(path, "it holds no tokens")
    return processor


def load_model(path: Path) -> Processor:
    """The model in the file at `path`."""
    return open_model(read_file(path, "SentencePiece model"), path)


class SentencePieceHandle:
    """A SentencePiece model; special ids are the model's own, -1 where it has none."""

    def __init__(self, processor: Processor) -> None:
        self._processor = processor
        self.method = "sentencepiece"
        self.vocab_size = processor.get_piece_size()
        self.pad_id = processor.pad_id()
        self.unk_id = processor.unk_id()
        self.bos_id = processor.bos_id()
        self.eos_id = processor.eos_id()
        self._special = {i for i in range(self.vocab_size) if processor.is_control(i) or processor.is_unknown(i)}

    def encode(self, text: str) -> list[int]:
        """Ids of `text`."""
        return self.encode_batch([text])[0]

    def encode_batch(self, texts: list[str]) -> list[list[int]]:
        """Ids of every text, on all cores."""
        try:
            return self._processor.encode(texts, num_threads=-1)
        except (TypeError, UnicodeEncodeError):  # how the library words a lone surrogate
            for text in texts:
                check_unicode(text)
            raise

    def decode(self, ids: list[int]) -> str:
        """Text of `ids`, special tokens left out."""
        check_ids(ids, self.vocab_size)
        return self._processor.decode([token_id for token_id in ids if token_id not in self._special])

    def token_text(self, token_id: int) -> str:
        """The token as text, as stored where it is special or a byte."""
        check_ids([token_id], self.vocab_size)
        piece = self._processor.id_to_piece(token_id)
        return piece if token_id in self._special else piece.replace(SPACE_MARK, " ")


def model_path(directory: Path) -> Path:
    """Where a SentencePiece artifact keeps its model."""
    return directory / MODEL_NAME
