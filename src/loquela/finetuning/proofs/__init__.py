"""Checks with numbers around a fine-tuning: each is `(Subject) -> Proof`, one a file; `table.py` says when they run."""
