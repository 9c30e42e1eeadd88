"""One SELECT of a database, read row by row without a way to change anything.

query ─ statement: one SELECT, :names, ORDER BY ─▶ connection: read-only, rolled back ─▶ rows, a batch at a time
"""
