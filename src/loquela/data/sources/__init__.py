"""Where text comes from: one module a kind of source, strangers to each other (see `data/source_contract.py`)."""
