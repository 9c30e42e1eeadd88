"""Paths, addresses and secrets from outside, checked before they are used.

    a fetch: http_fetch (or data/transfer) ─ http_retries ─ http ─▶ addresses ─▶ the connection, until http_deadline

addresses.py    host name → the addresses it may be reached at, or a refusal
http.py         an HTTP client that connects to checked addresses only, at every redirect anew
http_policy.py  the limits: bytes, seconds, growth, retries
http_fetch.py   whole answers in memory          content_coding.py  unpacks them, bombs excepted
http_auth.py    credentials for one origin       pace.py            how often one host is asked
http_answer.py  what a status means              http_retries.py    what is tried again, and when
credentials/    where secrets are kept
"""
