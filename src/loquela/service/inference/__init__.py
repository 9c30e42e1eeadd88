"""Models in processes of their own, kept warm: the API itself loads none.

request ─▶ pool ─ a line of JSON ─▶ engine process ─ pieces, result ─▶ answer
"""
