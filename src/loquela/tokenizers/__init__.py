"""Text ↔ token ids: bpe, unigram, wordpiece, char, word and SentencePiece behind one contract."""
