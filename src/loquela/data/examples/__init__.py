"""Files of questions and answers → examples that a model can be fine-tuned on, with a count at every step.

files ─ rows ─ recognise ─ convert ─ check ─ deduplicate ─ split ─ augment ─ template ─ tokens ─ overlong ─ pack
                                                                                   ▶ examples.jsonl, rows/, ledger
"""
