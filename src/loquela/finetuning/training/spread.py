"""Where the weights of a network lie that processes train together: whole in each, or shared out."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

Value = TypeVar("Value")


class Spread:
    """Where a network's weights lie; this one has all of them in every process."""

    name = "ddp"

    @property
    def in_shares(self) -> bool:
        """Whether using or reading a weight takes every process."""
        return False

    def within(self, compute: Callable[[], Value]) -> Value:
        """What `compute` gives, which uses the network's parts beside its forward: body, head and head's matrix."""
        return compute()

    def settle(self) -> None:
        """Give back what a pass without gradients has left gathered."""

    def describe(self) -> str:
        """What holds, read from the live network."""
        return "every process holds the whole network"
