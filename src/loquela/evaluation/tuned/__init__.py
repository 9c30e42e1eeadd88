"""base + adapter + held-out rows → is the adapter better, where, and how sure is that?

rows ─┬─ prompts ─▶ answers of both (outputs.jsonl) ─ metrics ─┐
      └─ trained tokens ─▶ losses of both (losses.jsonl) ──────┼─ paired bootstrap ─▶ metrics.json, report.md
general questions ─▶ what was unlearnt (forgetting.jsonl) ─────┘

One load: the base is the model with its adapter switched off, which is proven to be the base as it came.
"""
