"""The schema, step by step; `schema.py` walks them."""
