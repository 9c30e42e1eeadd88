"""bundle ─▶ fresh processes: golden prompts, load ─▶ verdicts ─▶ report ─▶ promotion."""
