"""The table of runtimes: the name a bundle gives → what opens it, imported only then."""

from __future__ import annotations

from loquela.core.entry import resolve
from loquela.core.registry import Registry
from loquela.inference.runtimes.contract import Runtime, RuntimeOpener

RUNTIMES: Registry[Runtime] = Registry("runtime", "loquela.runtimes")

RUNTIMES.register("torch", "loquela.inference.runtimes.torch_model:open_runtime")
RUNTIMES.register("onnxruntime", "loquela.inference.runtimes.onnx:open_runtime")
RUNTIMES.register("torchscript", "loquela.inference.runtimes.torchscript:open_runtime")
RUNTIMES.register("llama.cpp", "loquela.inference.runtimes.llama_cpp:open_runtime")


def runtime_opener(name: str) -> RuntimeOpener:
    """What opens the bundles of runtime `name`; RecipeError(NOT_REGISTERED) when nobody does."""
    opener: RuntimeOpener = resolve(RUNTIMES.path(name))
    return opener
