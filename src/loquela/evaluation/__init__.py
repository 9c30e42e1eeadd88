"""checkpoint + shards + tokenizer ─ validation loss, samples, budgets in a process of its own ─▶ report."""
