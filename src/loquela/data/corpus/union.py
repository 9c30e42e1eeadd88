"""Things that belong together, joined pair by pair (union-find with path halving; Tarjan and van Leeuwen, 1984)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


class Components:
    """Connected components of the numbers 0 … count - 1; the smallest number of each stands for it."""

    def __init__(self, count: int) -> None:
        self._parent = np.arange(count, dtype=np.int64)

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
        """The smallest number of its component, for every number."""
        parent = self._parent
        while True:
            above = parent[parent]
            if np.array_equal(above, parent):
                return parent.copy()
            parent = above
            self._parent = above
