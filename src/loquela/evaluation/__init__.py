"""checkpoint + shards ─ validation loss, samples, budgets ─▶ report."""
