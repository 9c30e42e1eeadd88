"""From the event bus to experiment trackers: what is sent, by which thread, and what becomes of failures."""
