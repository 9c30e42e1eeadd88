"""base + examples → adapter, merged model, passport.

base ─┐
      ├─ preflight proofs ─ train (TRL, PEFT) ─ proofs after ─▶ adapter ─ merge with proof ─▶ merged ─▶ final_artifact
rows ─┘
"""
