"""The fastest way to run a model without changing it: an export of it with all of its weights, where one lies there.

Speed, memory and cold start are measured by benchmarks/inference.py and stand in docs/benchmarks.md. TorchScript is no
faster than the network itself.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from loquela.artifacts.bundle import EXPORTS_FOLDER, BundleFacts, is_bundle, read_facts
from loquela.artifacts.manifest import MANIFEST_NAME, read_manifest

# Runtime → the package that it needs, fastest first.
FASTEST = {"llama.cpp": "xllamacpp", "onnxruntime": "onnxruntime"}


def exact_export(run: Path, model: Path) -> Path | None:
    """The bundle in the exports of `run` that computes `model` (a folder of the run) soonest; None: there is none.

    It was made of this very checkpoint, by the digest of its manifest, neither quantised nor pruned, passed its own
    measurement (or it would not be there), and its runtime is installed. Raises DataError(CORRUPTION) for a bundle or
    model whose records cannot be read.
    """
    if not (model / MANIFEST_NAME).is_file() or not (run / EXPORTS_FOLDER).is_dir():
        return None
    digest = read_manifest(model).digest
    found: dict[str, Path] = {}
    for place in sorted((run / EXPORTS_FOLDER).iterdir()):
        if is_bundle(place) and digest in read_manifest(place).parents.values():
            facts = read_facts(place)
            if _exact(facts):
                found.setdefault(facts.runtime, place)
    return next(
        (found[runtime] for runtime, package in FASTEST.items() if runtime in found and find_spec(package)), None
    )


def _exact(facts: BundleFacts) -> bool:
    return facts.quantization == "none" and facts.pruning == 0
