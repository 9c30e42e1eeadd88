"""Answers requests: the same runs as the command line's, asked for and watched over HTTP.

request ─ guard (host, origin, size) ─ key and scope ─ route ─▶ jobs (SQL), run folders ─▶ answer, or one error shape

Loads no tensor library: workers do the work.
"""
