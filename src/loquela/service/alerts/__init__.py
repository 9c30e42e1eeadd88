"""Alerts of a service: events of all runs ─▶ decisions, by one process at a time ─▶ rows of deliveries ─▶ channels."""
