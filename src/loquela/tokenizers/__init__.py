"""Text → token ids and back.

    training texts ─ train_tokenizer ─▶ folder: tokenizer.json | tokenizer.model
                                                tokenizer_config.json, tokenizer_manifest.json
    folder ─ load_tokenizer ─▶ TokenizerHandle: encode, decode

Methods are registered by name (methods.py): bpe, unigram, wordpiece, char, word, sentencepiece.
"""
