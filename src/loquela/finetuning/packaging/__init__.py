"""What a fine-tuning leaves for others: the adapter, its passport, and the records beside it."""
