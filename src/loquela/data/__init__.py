"""sources ─ read ─ split ─▶ corpus ─ tokenizer ─▶ tokenizer; corpus + tokenizer ─ tokenise ─ pack ─▶ shards."""
