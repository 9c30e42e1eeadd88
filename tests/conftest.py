"""Puts this folder on the import path, for the helpers that several tests share."""

import os

# The alerts of whoever runs the tests are theirs.
os.environ.setdefault("LOQUELA_ALERTS_FILE", "")
