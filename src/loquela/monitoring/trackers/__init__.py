"""Experiment trackers, one a file, each a stranger to the others; `monitoring.tracking.contract` says what they are."""
