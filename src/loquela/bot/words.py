"""Numbers and states as people read them."""

from __future__ import annotations

import math

from pydantic import JsonValue

BAR_CELLS = 20
STATES: dict[str, tuple[str, int]] = {
    "queued": ("waiting for a worker", 0x7F8C8D),
    "starting": ("starting", 0x3498DB),
    "running": ("running", 0x3498DB),
    "pausing": ("saving, then it pauses", 0xF39C12),
    "paused": ("paused", 0xF39C12),
    "cancelling": ("saving, then it stops", 0xF39C12),
    "cancelled": ("cancelled", 0x95A5A6),
    "interrupted": ("interrupted; it goes on by itself", 0xE67E22),
    "succeeded": ("finished", 0x2ECC71),
    "failed": ("failed", 0xE74C3C),
}
UNKNOWN_COLOUR = 0x7F8C8D


def number(value: JsonValue) -> float | None:
    """A number of the service, its words "NaN", "Infinity" and "-Infinity" included; None for anything else."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return float(value)
    if value in ("NaN", "Infinity", "-Infinity"):
        return float(str(value))
    return None


def whole(value: JsonValue) -> int | None:
    """A count; None for anything else."""
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def loss_words(loss: float) -> str:
    """Four decimals, or what the loss became instead of a number."""
    return f"{loss:.4f}" if math.isfinite(loss) else "not a number" if math.isnan(loss) else "infinite"


def perplexity_words(loss: float) -> str:
    """exp(loss), loss in nats per token."""
    if not math.isfinite(loss):
        return loss_words(loss)
    return f"{math.exp(loss):,.1f}" if loss < 20 else "above 10⁸"


def bar(done: int, total: int) -> str:
    """A bar of 20 cells with its share: ▰▰▰▱▱ 35 %; full only when all is done."""
    share = min(max(done / total, 0.0), 1.0) if total > 0 else 0.0
    filled = min(int(share * BAR_CELLS), BAR_CELLS)
    return f"{'▰' * filled}{'▱' * (BAR_CELLS - filled)} {int(share * 100)} %"


def duration(seconds: float) -> str:
    """3 s, 5 min, 2 h 05 min, 3 d 4 h."""
    whole_seconds = max(0, round(seconds))
    if whole_seconds < 60:
        return f"{whole_seconds} s"
    minutes = whole_seconds // 60
    if minutes < 60:
        return f"{minutes} min"
    hours = minutes // 60
    if hours < 24:
        return f"{hours} h {minutes % 60:02d} min"
    return f"{hours // 24} d {hours % 24} h"


def state_words(state: str) -> str:
    """What a state means; a state that this version does not know stands for itself."""
    return STATES.get(state, (state, UNKNOWN_COLOUR))[0]


def state_colour(state: str) -> int:
    """0xRRGGBB."""
    return STATES.get(state, (state, UNKNOWN_COLOUR))[1]
