"""Paths, addresses and archives from outside, checked before they are used.

addresses.py   host name → the addresses it may be reached at, or a refusal
http.py        an HTTP client that connects to checked addresses only, at every redirect anew
"""
