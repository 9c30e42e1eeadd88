"""Things that belong together, joined pair by pair (union-find with path halving; Tarjan and van Leeuwen, 1984)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

BLOCK_NUMBERS = 1 << 14


class Components:
    """Connected components of the numbers 0 … count - 1; the smallest number of each stands for it.

    `parent` is for every number itself, or a smaller one of the same component.
    """

    def __init__(self, parent: NDArray[np.int64]) -> None:
        self._parent = parent

    def find(self, number: int) -> int:
        """The smallest number of the component that `number` is in."""
        parent = self._parent
        while parent[number] != number:
            parent[number] = parent[parent[number]]
            number = int(parent[number])
        return number

    def same(self, first: int, second: int) -> bool:
        """Whether both are in one component."""
        return self.find(first) == self.find(second)

    def join(self, first: int, second: int) -> None:
        """Make the components of both one."""
        low, high = sorted((self.find(first), self.find(second)))
        self._parent[high] = low

    def join_equal(self, keys: NDArray[np.uint64], members: NDArray[np.int64]) -> None:
        """Join the `members` whose keys are equal; `keys` belong to `members` by place."""
        order = np.argsort(keys, kind="stable")
        equal = np.flatnonzero(keys[order][1:] == keys[order][:-1])
        for place in equal.tolist():
            self.join(int(members[order[place]]), int(members[order[place + 1]]))

    def smallest(self) -> NDArray[np.int64]:
        """The smallest number of its component, for every number; the array that it was made with, changed."""
        parent = self._parent
        for start in range(0, len(parent), BLOCK_NUMBERS):
            block = parent[start : start + BLOCK_NUMBERS]
            # What stands before the block is done.
            while not np.array_equal(above := parent[block], block):
                block[:] = above
        return parent
