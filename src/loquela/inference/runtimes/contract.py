"""What the engine asks of whatever computes the logits: a torch model, ONNX Runtime, TorchScript, llama.cpp.

    tokens ─ Runtime ─▶ logits (NumPy, float32) ─ sampling, scoring, stopping ─▶ text

Shapes: T tokens, V vocabulary. Loads no library but NumPy.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from loquela.artifacts.bundle import BundleFacts

Logits: TypeAlias = NDArray[np.float32]

UNLIMITED = 2**62
"""`context` of a network that carries a state instead of a window (LSTM, GRU)."""


class Runtime(Protocol):
    """One sequence at a time; every array that is given back is the caller's own (later calls leave it alone).

    Raises DataError: SEQUENCE_TOO_LONG for more tokens than `context`, INFERENCE_FAILED for what the library cannot
    compute. Logits that are not finite are passed on: the caller says so.
    """

    @property
    def vocab_size(self) -> int:
        """Columns of the logits; at least as many as the tokenizer has tokens (padding rows come last)."""

    @property
    def context(self) -> int:
        """Most tokens that `logits`, or `start` and `step` together, can see; UNLIMITED for recurrent networks."""

    def logits(self, tokens: list[int]) -> Logits:
        """[T, V]: row t belongs to the token after tokens 0..t. Leaves the growing sequence as it is."""

    def start(self, tokens: list[int]) -> Logits:
        """Forget the growing sequence and begin one with `tokens` (at least one); [V] after the last of them."""

    def step(self, token: int) -> Logits:
        """Append `token` to the growing sequence; [V] after it. Only after `start`."""

    def close(self) -> None:
        """Give memory back; nothing else may be called afterwards. A second close does nothing."""


class RuntimeOpener(Protocol):
    """What a name in the table of runtimes stands for."""

    def __call__(self, folder: Path, facts: BundleFacts) -> Runtime:
        """Open the model of the bundle in `folder`, whose files are proved already.

        Raises ResourceError(MISSING_EXTRA) when the library is not installed, DataError when it refuses the file.
        """
