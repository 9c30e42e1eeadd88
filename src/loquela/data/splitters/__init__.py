"""Long texts → chunks with their places: `text[chunk.start : chunk.end] == chunk.text`, always (see split.py)."""
