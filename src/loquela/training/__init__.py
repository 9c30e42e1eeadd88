"""shards + tokenizer ─ order ─ load ─ forward/backward ─ clip ─ step ─▶ checkpoint."""
