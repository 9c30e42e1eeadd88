"""TorchScript: the traced networks of `export/formats/torchscript`, run by torch without our own layers.

Shapes: T tokens, V vocabulary.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor

from loquela.artifacts.bundle import BundleFacts
from loquela.core.errors import DataError, ErrorCode
from loquela.inference.runtimes.contract import UNLIMITED, Logits

STATE_NAME = "state.json"


class _Traced(Protocol):
    """A loaded module."""

    def __call__(self, tokens: Tensor, *state: Tensor) -> tuple[Tensor, ...]: ...


class TorchScriptRuntime:
    """One sequence in one traced network."""

    def __init__(self, path: Path, shapes: list[list[int]], facts: BundleFacts) -> None:
        self.vocab_size = facts.vocab_size
        self.context = facts.context if facts.family == "transformer" else UNLIMITED
        try:
            self._network: _Traced | None = torch.jit.load(str(path), map_location="cpu")
        except (RuntimeError, ValueError) as error:
            raise DataError(
                ErrorCode.INFERENCE_FAILED,
                f"torch refuses {path}: {error}",
                "export it anew from its run, with the torch of this machine",
            ) from error
        self._empty = [torch.zeros(shape) for shape in shapes]
        self._state = self._empty
        self._position = 0

    def logits(self, tokens: list[int]) -> Logits:
        """[T, V] of `tokens` alone."""
        self._check_length(len(tokens))
        return _array(self._run(tokens, self._empty)[0][0])

    def start(self, tokens: list[int]) -> Logits:
        """[V] after the last of `tokens`, which begin the sequence anew."""
        self._state, self._position = self._empty, 0
        return self._grow(tokens)

    def step(self, token: int) -> Logits:
        """[V] after `token`."""
        return self._grow([token])

    def close(self) -> None:
        """Let the network go."""
        self._network = None
        self._state = self._empty = []

    def _grow(self, tokens: list[int]) -> Logits:
        self._check_length(self._position + len(tokens))
        logits, *self._state = self._run(tokens, self._state)
        self._position += len(tokens)
        return _array(logits[0, -1])

    @torch.inference_mode()
    def _run(self, tokens: list[int], state: list[Tensor]) -> tuple[Tensor, ...]:
        if self._network is None:
            raise DataError(
                ErrorCode.INFERENCE_FAILED, "the model was closed and is asked for logits", "open the bundle again"
            )
        try:
            return self._network(torch.tensor([tokens]), *state)
        except (RuntimeError, IndexError) as error:
            raise DataError(
                ErrorCode.INFERENCE_FAILED,
                f"torch could not compute {len(tokens)} tokens: {error}",
                "verify the bundle, or export it anew from its run",
            ) from error

    def _check_length(self, tokens: int) -> None:
        if tokens > self.context:
            raise DataError(
                ErrorCode.SEQUENCE_TOO_LONG,
                f"{tokens} tokens exceed the model's context of {self.context}",
                "shorten the text, or train with a larger model.max_sequence_length",
                details={"tokens": tokens, "context": self.context},
            )


def open_runtime(folder: Path, facts: BundleFacts) -> TorchScriptRuntime:
    """The network of the TorchScript bundle in `folder`; state.json beside it says how an empty state looks."""
    path = folder / facts.model_file
    shapes = [[int(side) for side in shape] for shape in json.loads((path.parent / STATE_NAME).read_bytes())]
    return TorchScriptRuntime(path, shapes, facts)


def _array(logits: Tensor) -> Logits:
    array: Logits = logits.to(torch.float32).numpy()
    return array
