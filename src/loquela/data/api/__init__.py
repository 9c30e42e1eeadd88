"""JSON interfaces over HTTP: page after page, each kept as it came.

address ─ paging: the next request ─ asking: the guarded fetcher, its pace, the page cache ─▶ items: texts by pointer
"""
