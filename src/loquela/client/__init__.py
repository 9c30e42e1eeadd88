"""The service spoken to from Python: `Client` and `AsyncClient` with the verbs of the command line.

Needs httpx and nothing of training or serving. Answers are read tolerantly: a newer server may say more.
"""
