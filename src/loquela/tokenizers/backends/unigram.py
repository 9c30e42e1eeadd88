"""Unigram language model over characters, with bytes for the characters it does not know: loses no text.

Trained by SentencePiece, kept as a tokenizer.json: measured in docs/tokenizers.md.
"""

from __future__ import annotations

from pathlib import Path

from tokenizers import Regex
from tokenizers.decoders import ByteFallback, Fuse, Sequence
from tokenizers.models import Unigram
from tokenizers.pre_tokenizers import Split

from loquela.tokenizers.contract import (
    MODEL_NAME,
    SPECIAL_TOKENS,
    UNKNOWN,
    TokenizerArtifact,
    TokenizerConfig,
    TokenizerHandle,
    TokenizerTrainRequest,
)
from loquela.tokenizers.huggingface import assemble, load, save
from loquela.tokenizers.operations import HandleOperations
from loquela.tokenizers.sentence_piece import BYTE_TOKENS, SPACE_MARK, Processor, open_model, train_model

NEVER = -1000.0
"""Score of tokens that must not match text that spells them: their characters are all in the alphabet and any
spelling of nine characters scores far above this.
"""

WORDS = r"\s*\S+|\s+"
"""No piece reaches from a word into the next space (counting.CHUNK), so each such chunk is encoded alone."""


class UnigramBackend(HandleOperations):
    """Kudo 2018."""

    def name(self) -> str:
        """Registered name."""
        return "unigram"

    def supported_methods(self) -> set[str]:
        """Methods it trains."""
        return {"unigram"}

    def train(self, config: TokenizerConfig, request: TokenizerTrainRequest) -> TokenizerArtifact:
        """Train with SentencePiece, write as tokenizer.json."""
        data, notes = train_model(config.model_copy(update={"model_type": "unigram"}), request)
        scores = scored_pieces(open_model(data, request.directory / MODEL_NAME))
        model = Unigram(scores, unk_id=SPECIAL_TOKENS.index(UNKNOWN), byte_fallback=True)
        tokenizer = assemble(model, Split(Regex(WORDS), "isolated"), Sequence([ByteFallback(), Fuse()]))
        return save(tokenizer, "unigram", request, loses="", notes=notes)

    def load(self, artifact_path: str) -> TokenizerHandle:
        """Open a trained folder."""
        return load(Path(artifact_path), "unigram")


def scored_pieces(processor: Processor) -> list[tuple[str, float]]:
    """The pieces and log probabilities of a model trained here, by id, with real spaces."""
    silent = {*SPECIAL_TOKENS, *BYTE_TOKENS}
    pieces = [processor.id_to_piece(token_id) for token_id in range(processor.get_piece_size())]
    return [
        (piece, NEVER) if piece in silent else (piece.replace(SPACE_MARK, " "), processor.get_score(token_id))
        for token_id, piece in enumerate(pieces)
    ]
