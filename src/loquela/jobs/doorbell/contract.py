"""What a bell can do."""

from __future__ import annotations

from typing import Protocol


class Doorbell(Protocol):
    """Rung after a job was queued; heard by workers that wait. Every method may be called from any thread."""

    def ring(self, job_id: str, fence: int) -> None:
        """Say that there is something; ringing twice, or in vain, does no harm."""

    def wait(self, timeout_seconds: float) -> None:
        """Return when the bell was rung, `wake` was called, or the time is over."""

    def wake(self) -> None:
        """End a wait of this process."""

    def close(self) -> None:
        """Give connections back."""
