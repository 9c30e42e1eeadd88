"""What RQ's own worker would call for an entry of our queue, where somebody starts one on it."""

from __future__ import annotations


def look_at_the_queue(job_id: str, fence: int) -> None:
    """Nothing: an entry is a bell for `loquela worker`, which claims its work in SQL."""
