"""Logits by llama.cpp: GGUF bundles, in this process and without torch.

Shapes: T tokens, V vocabulary.
"""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

import numpy as np

from loquela.artifacts.bundle import BUNDLE_NAME, BundleFacts
from loquela.artifacts.manifest import corrupt
from loquela.core.errors import DataError, ErrorCode
from loquela.inference.runtimes.contract import Logits
from loquela.inference.runtimes.llama_library import F32, Batch, LlamaLibrary, llama_library
from loquela.inference.runtimes.threads import threads_for

# Most texts are shorter: keys and values for the whole window of a large model would be held for nothing.
ROOM_FOR_NEW_TOKENS = 512

WINDOW_BATCH = 128
"""Tokens of a window whose logits lie in the library's memory at once."""


class LlamaModel:
    """The weights and vocabulary of one GGUF file."""

    def __init__(self, path: Path, *, vocabulary_only: bool = False) -> None:
        self.library = llama_library()
        self.library.listen()
        params = self.library.model_params()
        params.n_gpu_layers = 0
        params.vocab_only = vocabulary_only
        handle: int | None = self.library.functions.llama_model_load_from_file(os.fsencode(path), params)
        if handle is None:
            raise DataError(
                ErrorCode.PRETRAINED_LOAD_FAILED,
                f"llama.cpp does not load {path}: {self.library.complaint()}",
                "export the model again",
                details={"path": str(path)},
            )
        self.handle: int | None = handle
        self._vocabulary: int = self.library.functions.llama_model_get_vocab(handle)
        self.vocab_size: int = self.library.functions.llama_vocab_n_tokens(self._vocabulary)
        self.context: int = self.library.functions.llama_model_n_ctx_train(handle)

    def encode(self, text: str) -> list[int]:
        """Ids of `text` by llama.cpp's own tokenizer; no special tokens are added, text that spells one stays text."""
        data = text.encode()
        room = len(data) + 2
        ids = (ctypes.c_int32 * room)()
        tokenize = self.library.functions.llama_tokenize
        count: int = tokenize(self._vocabulary, data, len(data), ids, room, False, False)
        return list(ids[:count])

    def close(self) -> None:
        """Give the weights back."""
        if self.handle is not None:
            self.library.functions.llama_model_free(self.handle)
            self.handle = None


class LlamaContext:
    """One sequence over a model, with room for the keys and values of `capacity` tokens.

    `exact` keeps them in float32 and computes attention step by step. Otherwise they are float16 in fused attention, as
    llama.cpp has it by default: a sixth faster on SmolLM2 in int8, whose KL to its float32 goes from 0.0067 to 0.0070.
    """

    def __init__(self, model: LlamaModel, capacity: int, batch: int, threads: int, *, exact: bool) -> None:
        self._library: LlamaLibrary = model.library
        self._vocab_size = model.vocab_size
        self.capacity = capacity
        self.position = 0
        params = self._library.context_params()
        params.n_ctx = capacity
        params.n_batch = params.n_ubatch = batch
        params.n_threads = params.n_threads_batch = threads
        if exact:
            params.type_k = params.type_v = F32
            params.flash_attn_type = 0
        handle: int | None = self._library.functions.llama_init_from_model(model.handle, params)
        if handle is None:
            raise _failed(f"no memory for {capacity} tokens: {self._library.complaint()}")
        self._handle: int | None = handle
        self._memory = self._library.functions.llama_get_memory(handle)
        self._room = batch
        self._batch = _batch(batch)

    def clear(self) -> None:
        """Forget the sequence."""
        self._library.functions.llama_memory_clear(self._memory, False)
        self.position = 0

    def append(self, tokens: list[int], *, every: bool) -> Logits:
        """Logits [T, V] after every one of `tokens`, or [1, V] after the last; they follow what was appended before."""
        rows = [self._decode(tokens[at : at + self._room], every) for at in range(0, len(tokens), self._room)]
        return np.concatenate(rows) if every else rows[-1]

    def _decode(self, tokens: list[int], every: bool) -> Logits:
        batch, count = self._batch, len(tokens)
        batch.n_tokens = count
        for index, token in enumerate(tokens):
            batch.token[index] = token
            batch.pos[index] = self.position + index
            batch.logits[index] = every or index == count - 1
        code: int = self._library.functions.llama_decode(self._handle, batch)
        if code != 0:
            raise _failed(f"llama.cpp could not compute {count} tokens (code {code}): {self._library.complaint()}")
        self.position += count
        first = 0 if every else count - 1
        address: int = self._library.functions.llama_get_logits_ith(self._handle, first)
        rows = count - first
        values = np.empty((rows, self._vocab_size), np.float32)
        ctypes.memmove(values.ctypes.data, address, values.nbytes)
        return values

    def close(self) -> None:
        """Give keys and values back."""
        if self._handle is not None:
            self._library.functions.llama_free(self._handle)
            self._handle = None


class LlamaRuntime:
    """A GGUF file whose growing sequence has a context of its own; windows to score get another.

    `exact` is for weights in full precision (see `LlamaContext`).
    """

    def __init__(self, model: LlamaModel, context: int, threads: int, *, exact: bool = True) -> None:
        self.vocab_size = model.vocab_size
        self.context = context
        self.model = model
        self._threads = threads
        self._exact = exact
        self._tokens: list[int] = []
        self._growing: LlamaContext | None = None
        self._window: LlamaContext | None = None

    def logits(self, tokens: list[int]) -> Logits:
        """[T, V] after every token; DataError(SEQUENCE_TOO_LONG) beyond the context."""
        self._check_length(len(tokens))
        if self._window is None or self._window.capacity < len(tokens):
            self._free_window()
            capacity = min(self.context, max(2 * len(tokens), WINDOW_BATCH))
            self._window = self._context(capacity)
        self._window.clear()
        return self._window.append(tokens, every=True)

    def start(self, tokens: list[int]) -> Logits:
        """Read `tokens` into an empty cache; [V] after the last."""
        self._check_length(len(tokens))
        self._tokens = list(tokens)
        return self._begin(min(self.context, len(tokens) + ROOM_FOR_NEW_TOKENS))

    def step(self, token: int) -> Logits:
        """Append `token`; [V] after it. A cache that is full is made anew, twice as long."""
        self._check_length(len(self._tokens) + 1)
        self._tokens.append(token)
        if self._growing is None or self._growing.position == self._growing.capacity:
            return self._begin(min(self.context, 2 * len(self._tokens)))
        last: Logits = self._growing.append([token], every=False)[0]
        return last

    def encode(self, text: str) -> list[int]:
        """Ids of `text` by the tokenizer in the file, as everybody else who runs it gets them."""
        return self.model.encode(text)

    def close(self) -> None:
        """Give the model back; a second close does nothing."""
        self._free_window()
        if self._growing is not None:
            self._growing.close()
            self._growing = None
        self.model.close()

    def _begin(self, capacity: int) -> Logits:
        if self._growing is None or self._growing.capacity < capacity:
            if self._growing is not None:
                self._growing.close()
            self._growing = self._context(capacity)
        self._growing.clear()
        last: Logits = self._growing.append(self._tokens, every=False)[0]
        return last

    def _context(self, capacity: int) -> LlamaContext:
        return LlamaContext(self.model, capacity, min(capacity, WINDOW_BATCH), self._threads, exact=self._exact)

    def _free_window(self) -> None:
        if self._window is not None:
            self._window.close()
            self._window = None

    def _check_length(self, tokens: int) -> None:
        if tokens > self.context:
            raise DataError(
                ErrorCode.SEQUENCE_TOO_LONG,
                f"the text of {tokens} tokens exceeds the model's context of {self.context}",
                "shorten the text, or train with a larger model.max_sequence_length",
                details={"tokens": tokens, "context": self.context},
            )


def open_runtime(folder: Path, facts: BundleFacts) -> LlamaRuntime:
    """The model of a GGUF bundle.

    Raises ResourceError(MISSING_EXTRA) when xllamacpp is not installed, DataError: PRETRAINED_LOAD_FAILED when
    llama.cpp refuses the file, CORRUPTION when `facts` are not the file's (it would crash on a longer context).
    """
    model = LlamaModel(folder / facts.model_file)
    checks = (("context", facts.context, model.context), ("vocab_size", facts.vocab_size, model.vocab_size))
    for what, said, found in checks:
        if said != found:
            model.close()
            raise corrupt(folder, f"{BUNDLE_NAME} says {what} {said}, {facts.model_file} was made for {found}")
    exact = facts.quantization == "none"
    return LlamaRuntime(model, facts.context, threads_for(facts.parameters), exact=exact)


def _batch(room: int) -> Batch:
    """A batch of one sequence for up to `room` tokens; the structure keeps its arrays alive."""
    only = (ctypes.c_int32 * 1)(0)
    first = ctypes.cast(only, ctypes.POINTER(ctypes.c_int32))
    sequences = (ctypes.POINTER(ctypes.c_int32) * room)(*[first] * room)
    return Batch(
        n_tokens=0,
        token=(ctypes.c_int32 * room)(),
        embd=None,
        pos=(ctypes.c_int32 * room)(),
        n_seq_id=(ctypes.c_int32 * room)(*[1] * room),
        seq_id=sequences,
        logits=(ctypes.c_int8 * room)(),
    )


def _failed(why: str) -> DataError:
    return DataError(ErrorCode.INFERENCE_FAILED, why, "shorten the text, or export the model again")
