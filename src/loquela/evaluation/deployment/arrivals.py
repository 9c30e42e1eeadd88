"""When requests arrive: decided before the load begins, so that a slow answer delays no request."""

from __future__ import annotations

from typing import Literal

import numpy as np


def arrival_times(count: int, rate_per_second: float, kind: Literal["poisson", "fixed"], seed: int) -> list[float]:
    """`count` times in seconds, ascending, within the first `count / rate_per_second` seconds.

    "poisson" is a Poisson process of that rate of which is known that `count` requests arrived: then their times
    are independent and uniform (Kingman, Poisson Processes, 2.4). The offered rate is met exactly, whatever the seed.
    """
    span = count / rate_per_second
    if kind == "fixed":
        return [index / rate_per_second for index in range(count)]
    times: list[float] = np.sort(np.random.default_rng(seed).uniform(0.0, span, count)).tolist()
    return times
