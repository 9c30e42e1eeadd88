"""Corpus documents → questions and answers with evidence, as an examples artifact.

    chunks ─ plan ─ ask ─▶ answers ─ parse ─ gate ─ duplicates ─ judge ─ rows ─▶ examples
              │      │                        │
              │      └ cost cap, request store, retries
              └ which chunks are worth asking, how often, and what

Nothing is asked before the plan and its price are known; nothing is paid twice; nothing is kept whose evidence is
not in its chunk; every chunk and every pair that is not kept has a reason in the ledger.
"""
