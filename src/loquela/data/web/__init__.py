"""Web pages, asked for politely: from the start pages along their links, as far as robots.txt and the entry allow.

start ─ addresses: one form each, in scope ─ robots ─ the guarded fetcher, its pace ─▶ page cache ─ links ─▶ …
"""
