"""texts ─ cut ─ normalize ─ validate ─ decontaminate ─▶ parts ─ deduplicate ─ split ─▶ corpus."""
