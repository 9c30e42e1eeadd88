"""Alerts of one run, from the run's own process: event bus ─▶ watch (a thread) ─▶ senders (a thread a channel).

Beside it waits `last_word`, a process that tells when the run's own was killed.
"""
