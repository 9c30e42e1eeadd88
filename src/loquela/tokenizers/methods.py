"""The table of tokenizer methods: built-in ones use the same door as a stranger's package."""

from __future__ import annotations

from loquela.core.registry import Registry
from loquela.tokenizers.contract import TokenizerBackend

TOKENIZERS: Registry[TokenizerBackend] = Registry("tokenizer", "loquela.tokenizers")

TOKENIZERS.register("bpe", "loquela.tokenizers.backends.bpe:BpeBackend")
TOKENIZERS.register("unigram", "loquela.tokenizers.backends.unigram:UnigramBackend")
TOKENIZERS.register("wordpiece", "loquela.tokenizers.backends.wordpiece:WordPieceBackend")
TOKENIZERS.register("char", "loquela.tokenizers.backends.char:CharBackend")
TOKENIZERS.register("word", "loquela.tokenizers.backends.word:WordBackend")
TOKENIZERS.register("sentencepiece", "loquela.tokenizers.backends.sentencepiece:SentencePieceBackend")
