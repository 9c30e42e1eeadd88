"""Checkpoint → text: generate, stream and score; one engine for the command line and every other face."""
