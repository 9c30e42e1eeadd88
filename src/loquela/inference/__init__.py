"""checkpoint → text: generate and score, one engine for every caller."""
