"""ONNX Runtime: the graphs of `export/formats/onnx`, their cache kept by the library between steps.

Shapes: T tokens, V vocabulary. Loads no tensor library but ONNX Runtime.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np

from loquela.core.errors import DataError, ErrorCode
from loquela.core.extras import require
from loquela.inference.runtimes.contract import UNLIMITED, Logits
from loquela.inference.runtimes.threads import threads_for

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from loquela.artifacts.bundle import BundleFacts

ALL_ROWS, LAST_ROW = 0, -1
STATE_AFTER = {"hidden": "hidden_after", "cell": "cell_after"}


class _Value(Protocol):
    """A tensor that the library holds."""

    def numpy(self) -> Logits: ...


class _Described(Protocol):
    """An input or output of a graph; a length that may change is a text."""

    name: str
    shape: list[int | str]


class _Session(Protocol):
    """What is used of onnxruntime.InferenceSession."""

    def get_inputs(self) -> Sequence[_Described]: ...

    def run_with_ort_values(self, output_names: list[str], feeds: dict[str, _Value]) -> list[_Value]: ...


class OnnxRuntime:
    """One sequence in one session."""

    def __init__(self, path: Path, facts: BundleFacts) -> None:
        self._library = require("onnxruntime", extra="serve", purpose="running an ONNX model")
        self.vocab_size = facts.vocab_size
        self.context = facts.context if facts.family == "transformer" else UNLIMITED
        self._session: _Session | None = self._open(path, threads_for(facts.parameters))
        self._empty = {
            entry.name: self._value(np.zeros([_length(entry.name, side) for side in entry.shape], dtype=np.float32))
            for entry in self._session.get_inputs()
            if entry.name not in ("tokens", "first_logit")
        }
        self._outputs = ["logits", *(_after(name) for name in self._empty)]
        self._state = self._empty
        self._position = 0

    def logits(self, tokens: list[int]) -> Logits:
        """[T, V] of `tokens` alone; the growing sequence stays as it is."""
        self._check_length(len(tokens))
        rows: Logits = self._run(tokens, self._empty, ALL_ROWS)[0].numpy()[0]
        return rows

    def start(self, tokens: list[int]) -> Logits:
        """[V] after the last of `tokens`, which begin the sequence anew."""
        self._state, self._position = self._empty, 0
        return self._grow(tokens)

    def step(self, token: int) -> Logits:
        """[V] after `token`, which is added to the sequence."""
        return self._grow([token])

    def close(self) -> None:
        """Let the session go."""
        self._session = None
        self._state = self._empty = {}

    def _grow(self, tokens: list[int]) -> Logits:
        self._check_length(self._position + len(tokens))
        results = self._run(tokens, self._state, LAST_ROW)
        self._state = dict(zip(self._empty, results[1:], strict=True))
        self._position += len(tokens)
        row: Logits = results[0].numpy()[0, 0]
        return row

    def _run(self, tokens: list[int], state: dict[str, _Value], first_row: int) -> list[_Value]:
        if self._session is None:
            raise DataError(
                ErrorCode.INFERENCE_FAILED, "the model was closed and is asked for logits", "open the bundle again"
            )
        feeds = {
            **state,
            "tokens": self._value(np.array([tokens], dtype=np.int64)),
            "first_logit": self._value(np.array([first_row], dtype=np.int64)),
        }
        try:
            return self._session.run_with_ort_values(self._outputs, feeds)
        except Exception as error:
            # The library's own errors have no base but Exception.
            raise DataError(
                ErrorCode.INFERENCE_FAILED,
                f"ONNX Runtime could not compute {len(tokens)} tokens: {error}",
                "verify the bundle, or export it anew from its run",
            ) from error

    def _open(self, path: Path, threads: int) -> _Session:
        options = self._library.SessionOptions()
        # What goes wrong comes back as an error; the library would also print it.
        options.log_severity_level = 4
        options.intra_op_num_threads = threads
        try:
            session: _Session = self._library.InferenceSession(
                str(path), sess_options=options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:
            # The library's own errors have no base but Exception.
            raise DataError(
                ErrorCode.INFERENCE_FAILED,
                f"ONNX Runtime refuses {path}: {error}",
                "export it anew from its run, with the ONNX Runtime of this machine installed",
            ) from error
        return session

    def _value(self, array: NDArray[np.float32] | NDArray[np.int64]) -> _Value:
        value: _Value = self._library.OrtValue.ortvalue_from_numpy(array)
        return value

    def _check_length(self, tokens: int) -> None:
        if tokens > self.context:
            raise DataError(
                ErrorCode.SEQUENCE_TOO_LONG,
                f"{tokens} tokens exceed the model's context of {self.context}",
                "shorten the text, or train with a larger model.max_sequence_length",
                details={"tokens": tokens, "context": self.context},
            )


def open_runtime(folder: Path, facts: BundleFacts) -> OnnxRuntime:
    """The model of the ONNX bundle in `folder`."""
    return OnnxRuntime(folder / facts.model_file, facts)


def _length(name: str, side: int | str) -> int:
    """Where a sequence begins: one row, nothing seen."""
    if isinstance(side, int):
        return side
    return 1 if side == "batch" else 0


def _after(name: str) -> str:
    """The output that is the next call's input `name`."""
    return STATE_AFTER.get(name) or name.replace("past_", "present_")
