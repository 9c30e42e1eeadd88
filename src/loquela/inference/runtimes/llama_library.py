"""Thin typed adapter around llama.cpp's C interface, as the wheel of `xllamacpp` carries it (no compiler, no torch).

The package's Python classes only offer a server; the library inside exports every function of llama.h. Two of its
structures are passed by value, and their fields move between versions: the defaults that the library itself gives are
compared with what llama.h says they are, and a library that disagrees is refused rather than guessed at.
"""

from __future__ import annotations

import ctypes
import functools
from collections import deque
from importlib.util import find_spec
from pathlib import Path

from loquela.core.errors import ErrorCode, ResourceError
from loquela.core.extras import missing

PACKAGE = "xllamacpp"
PURPOSE = "running a gguf model"
ERROR_LEVEL = 4
"""GGML_LOG_LEVEL_ERROR."""

F32 = 0
"""GGML_TYPE_F32."""

# Room for fields that a later version appends: such a structure is still passed whole.
_SPARE = 256


class ModelParams(ctypes.Structure):
    """llama_model_params."""

    _fields_ = [
        ("devices", ctypes.c_void_p),
        ("tensor_buft_overrides", ctypes.c_void_p),
        ("n_gpu_layers", ctypes.c_int32),
        ("split_mode", ctypes.c_int),
        ("load_mode", ctypes.c_int),
        ("lazy_mode", ctypes.c_int),
        ("main_gpu", ctypes.c_int32),
        ("tensor_split", ctypes.c_void_p),
        ("progress_callback", ctypes.c_void_p),
        ("progress_callback_user_data", ctypes.c_void_p),
        ("kv_overrides", ctypes.c_void_p),
        ("vocab_only", ctypes.c_bool),
        ("check_tensors", ctypes.c_bool),
        ("use_extra_bufts", ctypes.c_bool),
        ("no_host", ctypes.c_bool),
        ("no_alloc", ctypes.c_bool),
        ("load_mtp", ctypes.c_bool),
        ("spare", ctypes.c_uint8 * _SPARE),
    ]


class ContextParams(ctypes.Structure):
    """llama_context_params."""

    _fields_ = [
        ("n_ctx", ctypes.c_uint32),
        ("n_batch", ctypes.c_uint32),
        ("n_ubatch", ctypes.c_uint32),
        ("n_seq_max", ctypes.c_uint32),
        ("n_rs_seq", ctypes.c_uint32),
        ("n_outputs_max", ctypes.c_uint32),
        ("n_outputs_max_per_seq", ctypes.c_uint32),
        ("n_threads", ctypes.c_int32),
        ("n_threads_batch", ctypes.c_int32),
        ("ctx_type", ctypes.c_int),
        ("rope_scaling_type", ctypes.c_int),
        ("pooling_type", ctypes.c_int),
        ("attention_type", ctypes.c_int),
        ("flash_attn_type", ctypes.c_int),
        ("rope_freq_base", ctypes.c_float),
        ("rope_freq_scale", ctypes.c_float),
        ("yarn_ext_factor", ctypes.c_float),
        ("yarn_attn_factor", ctypes.c_float),
        ("yarn_beta_fast", ctypes.c_float),
        ("yarn_beta_slow", ctypes.c_float),
        ("yarn_orig_ctx", ctypes.c_uint32),
        ("defrag_thold", ctypes.c_float),
        ("cb_eval", ctypes.c_void_p),
        ("cb_eval_user_data", ctypes.c_void_p),
        ("type_k", ctypes.c_int),
        ("type_v", ctypes.c_int),
        ("moe_cache_size", ctypes.c_size_t),
        ("abort_callback", ctypes.c_void_p),
        ("abort_callback_data", ctypes.c_void_p),
        ("embeddings", ctypes.c_bool),
        ("offload_kqv", ctypes.c_bool),
        ("no_perf", ctypes.c_bool),
        ("op_offload", ctypes.c_bool),
        ("swa_full", ctypes.c_bool),
        ("kv_unified", ctypes.c_bool),
        ("spare", ctypes.c_uint8 * _SPARE),
    ]


class Batch(ctypes.Structure):
    """llama_batch."""

    _fields_ = [
        ("n_tokens", ctypes.c_int32),
        ("token", ctypes.POINTER(ctypes.c_int32)),
        ("embd", ctypes.c_void_p),
        ("pos", ctypes.POINTER(ctypes.c_int32)),
        ("n_seq_id", ctypes.POINTER(ctypes.c_int32)),
        ("seq_id", ctypes.POINTER(ctypes.POINTER(ctypes.c_int32))),
        ("logits", ctypes.POINTER(ctypes.c_int8)),
    ]


# Defaults by llama.h of fields that stand before, between and behind the ones set here.
MODEL_DEFAULTS = {"split_mode": 1, "main_gpu": 0, "vocab_only": False, "check_tensors": False, "use_extra_bufts": True}
CONTEXT_DEFAULTS = {
    "n_ctx": 512,
    "n_batch": 2048,
    "n_ubatch": 512,
    "n_seq_max": 1,
    "n_threads": 4,
    "n_threads_batch": 4,
    "rope_scaling_type": -1,
    "pooling_type": -1,
    "attention_type": -1,
    "flash_attn_type": -1,
    "rope_freq_base": 0.0,
    "yarn_ext_factor": -1.0,
    "yarn_orig_ctx": 0,
    "type_k": 1,
    "type_v": 1,
    "embeddings": False,
    "offload_kqv": True,
    "no_perf": True,
    "swa_full": True,
}

_LOG_CALLBACK = ctypes.CFUNCTYPE(None, ctypes.c_int, ctypes.c_char_p, ctypes.c_void_p)
_POINTER, _INT, _TEXT = ctypes.c_void_p, ctypes.c_int32, ctypes.c_char_p
_SIGNATURES = {
    "llama_backend_init": (None, []),
    "llama_model_default_params": (ModelParams, []),
    "llama_context_default_params": (ContextParams, []),
    "llama_model_load_from_file": (_POINTER, [_TEXT, ModelParams]),
    "llama_model_free": (None, [_POINTER]),
    "llama_model_get_vocab": (_POINTER, [_POINTER]),
    "llama_model_n_ctx_train": (_INT, [_POINTER]),
    "llama_vocab_n_tokens": (_INT, [_POINTER]),
    "llama_init_from_model": (_POINTER, [_POINTER, ContextParams]),
    "llama_free": (None, [_POINTER]),
    "llama_get_memory": (_POINTER, [_POINTER]),
    "llama_memory_clear": (None, [_POINTER, ctypes.c_bool]),
    "llama_decode": (_INT, [_POINTER, Batch]),
    "llama_get_logits_ith": (_POINTER, [_POINTER, _INT]),
    "llama_tokenize": (
        _INT,
        [_POINTER, _TEXT, _INT, ctypes.POINTER(_INT), _INT, ctypes.c_bool, ctypes.c_bool],
    ),
    "llama_log_set": (None, [_LOG_CALLBACK, _POINTER]),
}


class LlamaLibrary:
    """The loaded library: `functions` is called by llama.h's names, `complaints` holds what it last said went wrong."""

    def __init__(self, path: Path) -> None:
        self.functions = ctypes.CDLL(str(path))
        self.complaints: deque[str] = deque(maxlen=8)
        for name, (result, arguments) in _SIGNATURES.items():
            function = getattr(self.functions, name, None)
            if function is None:
                raise _misfit(f"it has no function {name}")
            function.restype, function.argtypes = result, arguments
        self._check_layout()
        # The library keeps the pointer: the callback must live as long as it does.
        self._callback = _LOG_CALLBACK(self._log)
        self.listen()
        self.functions.llama_backend_init()

    def listen(self) -> None:
        """Hear what goes wrong from now on: a process has one listener, and other users of the library replace it."""
        self.functions.llama_log_set(self._callback, None)

    def model_params(self) -> ModelParams:
        """llama_model_default_params."""
        params: ModelParams = self.functions.llama_model_default_params()
        return params

    def context_params(self) -> ContextParams:
        """llama_context_default_params."""
        params: ContextParams = self.functions.llama_context_default_params()
        return params

    def complaint(self) -> str:
        """What the library said went wrong since the last call of this."""
        said = "; ".join(self.complaints)
        self.complaints.clear()
        return said or "it gave no reason"

    def _check_layout(self) -> None:
        for params, defaults in ((self.model_params(), MODEL_DEFAULTS), (self.context_params(), CONTEXT_DEFAULTS)):
            for field, expected in defaults.items():
                if getattr(params, field) != expected:
                    raise _misfit(f"its default of {field} is {getattr(params, field)}, not {expected}")

    def _log(self, level: int, text: bytes | None, _: int | None) -> None:
        if level == ERROR_LEVEL and text:
            self.complaints.append(text.decode("utf-8", "replace").strip())


@functools.cache
def llama_library() -> LlamaLibrary:
    """The library, loaded once.

    Raises ResourceError: MISSING_EXTRA when xllamacpp is not installed, INSUFFICIENT_RESOURCES for a version of it
    that does not fit this adapter.
    """
    spec = find_spec(PACKAGE)
    if spec is None:
        raise missing(PACKAGE, extra="serve", purpose=PURPOSE)
    for folder in spec.submodule_search_locations or []:
        for pattern in ("xllamacpp*.so", "xllamacpp*.dylib", "xllamacpp*.pyd"):
            for path in sorted(Path(folder).glob(pattern)):
                return LlamaLibrary(path)
    raise _misfit("its wheel holds no library")


def _misfit(why: str) -> ResourceError:
    return ResourceError(
        ErrorCode.INSUFFICIENT_RESOURCES,
        f"the installed {PACKAGE} is not one that Loquela can talk to: {why}",
        'pip install "loquela[serve]" -c constraints.txt',
        details={"package": PACKAGE},
    )
