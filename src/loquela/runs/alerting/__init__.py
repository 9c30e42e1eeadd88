"""Alerts of one run, from the run's own process: event bus ─▶ watch (a thread) ─▶ senders (a thread a channel)."""
