"""corpus + tokenizer ─ encode ─▶ token parts ─ join ─▶ shards; the preprocessor and the dataset builder."""
