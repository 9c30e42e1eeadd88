"""WordPiece: words and punctuation, cut into the longest known pieces; white space is not kept."""

from __future__ import annotations

from pathlib import Path

from tokenizers import Tokenizer
from tokenizers.decoders import WordPiece as WordPieceDecoder
from tokenizers.models import WordPiece
from tokenizers.pre_tokenizers import BertPreTokenizer
from tokenizers.trainers import WordPieceTrainer

from loquela.tokenizers.contract import (
    SPECIAL_TOKENS,
    UNKNOWN,
    TokenizerArtifact,
    TokenizerConfig,
    TokenizerHandle,
    TokenizerTrainRequest,
)
from loquela.tokenizers.failures import no_text, vocabulary_too_small
from loquela.tokenizers.huggingface import assemble, load, save
from loquela.tokenizers.operations import HandleOperations
from loquela.tokenizers.streams import TextSeen

PREFIX = "##"
LONGEST_WORD = 100
LOSES = (
    "every run of white space becomes one space, spaces around punctuation are made up, and a word that holds an "
    f"unseen character or more than {LONGEST_WORD} characters becomes <unk>"
)


class WordPieceBackend(HandleOperations):
    """Schuster & Nakajima 2012, as in BERT."""

    def name(self) -> str:
        """Registered name."""
        return "wordpiece"

    def supported_methods(self) -> set[str]:
        """Methods it trains."""
        return {"wordpiece"}

    def train(self, config: TokenizerConfig, request: TokenizerTrainRequest) -> TokenizerArtifact:
        """Learn pieces."""
        learner = Tokenizer(WordPiece(unk_token=UNKNOWN))
        learner.pre_tokenizer = BertPreTokenizer()
        trainer = WordPieceTrainer(
            vocab_size=config.vocab_size,
            min_frequency=config.min_frequency,
            special_tokens=list(SPECIAL_TOKENS),
            continuing_subword_prefix=PREFIX,
            show_progress=False,
        )
        texts = TextSeen(request.train_texts())
        learner.train_from_iterator(texts, trainer=trainer)
        if not texts.any:
            raise no_text("wordpiece")
        pieces = sorted(learner.get_vocab(), key=lambda token: (token not in SPECIAL_TOKENS, token))
        if len(pieces) > config.vocab_size:
            why = "4 special tokens and every character, at the start of a word and inside one"
            raise vocabulary_too_small("wordpiece", config.vocab_size, len(pieces), why)
        vocabulary = {piece: number for number, piece in enumerate(SPECIAL_TOKENS + pieces[len(SPECIAL_TOKENS) :])}
        model = WordPiece(
            vocabulary, unk_token=UNKNOWN, max_input_chars_per_word=LONGEST_WORD, continuing_subword_prefix=PREFIX
        )
        decoder = WordPieceDecoder(prefix=PREFIX, cleanup=False)
        return save(assemble(model, BertPreTokenizer(), decoder), "wordpiece", request)

    def load(self, artifact_path: str) -> TokenizerHandle:
        """Open a trained folder."""
        return load(Path(artifact_path), "wordpiece", LOSES)
