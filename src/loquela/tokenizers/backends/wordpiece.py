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
        """Learn pieces, in two passes."""
        # The library numbers "##x" pieces in the order of a randomly seeded hash table and breaks ties by number;
        # given the whole alphabet in order, it learns the same pieces every time.
        alphabet = _learn(request, SPECIAL_TOKENS, vocab_size=1, min_frequency=1) - set(SPECIAL_TOKENS)
        if not alphabet:
            raise no_text("wordpiece")
        needed = len(SPECIAL_TOKENS) + len(alphabet)
        if needed > config.vocab_size:
            why = "4 special tokens and every character, at the start of a word and inside one"
            raise vocabulary_too_small("wordpiece", config.vocab_size, needed, why)
        first = [*SPECIAL_TOKENS, *sorted(alphabet)]
        learnt = _learn(request, first, vocab_size=config.vocab_size, min_frequency=config.min_frequency)
        vocabulary = {piece: number for number, piece in enumerate([*first, *sorted(learnt - set(first))])}
        model = WordPiece(
            vocabulary, unk_token=UNKNOWN, max_input_chars_per_word=LONGEST_WORD, continuing_subword_prefix=PREFIX
        )
        tokenizer = assemble(model, BertPreTokenizer(), WordPieceDecoder(prefix=PREFIX, cleanup=False))
        return save(tokenizer, "wordpiece", request, loses=LOSES)

    def load(self, artifact_path: str) -> TokenizerHandle:
        """Open a trained folder."""
        return load(Path(artifact_path), "wordpiece")


def _learn(request: TokenizerTrainRequest, first: list[str], *, vocab_size: int, min_frequency: int) -> set[str]:
    """The pieces the library learns after the ones given `first`; the alphabet alone for a vocabulary of one."""
    learner = Tokenizer(WordPiece(unk_token=UNKNOWN))
    learner.pre_tokenizer = BertPreTokenizer()
    trainer = WordPieceTrainer(
        vocab_size=vocab_size,
        min_frequency=min_frequency,
        special_tokens=list(first),
        continuing_subword_prefix=PREFIX,
        show_progress=False,
    )
    learner.train_from_iterator(request.train_texts(), trainer=trainer)
    return set(learner.get_vocab())
