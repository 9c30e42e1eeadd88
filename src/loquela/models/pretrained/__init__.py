"""Pretrained models of others: where they come from, what they are, how they are loaded, with or without adapters."""
