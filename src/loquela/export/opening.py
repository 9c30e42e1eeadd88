"""What is exported, opened: the weights as our network, and the runtime that the export is compared with.

model folder ─▶ network                        compared with the network
adapter      ─▶ merged into its base ─▶ network  compared with the adapter on its base
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from loquela.artifacts.adapter import is_adapter
from loquela.export.contract import unsupported
from loquela.inference.open_pretrained import computed_elsewhere
from loquela.inference.runtimes.contract import Runtime
from loquela.inference.runtimes.pretrained import PretrainedRuntime
from loquela.inference.runtimes.torch_model import TorchRuntime
from loquela.models.contract import LanguageModel
from loquela.models.folder import load_model
from loquela.models.pretrained.adapted import base_of, load_adapted
from loquela.models.pretrained.folder_files import CONFIG_NAME, optional_json
from loquela.models.pretrained.merged import write_merged


@dataclass(frozen=True)
class OpenedModel:
    """`folder` has the weights of `model`; `reference` is what people know the model as."""

    folder: Path
    model: LanguageModel
    reference: Runtime


@contextmanager
def opened(folder: Path) -> Iterator[OpenedModel]:
    """The model or adapter in `folder`, for as long as it is exported.

    Raises RecipeError(UNSUPPORTED_FORMAT) for a network that is not computed here exactly and for an adapter of a
    quantised base, DataError as loading finds.
    """
    if not is_adapter(folder):
        refuse_other_networks(folder)
        model = load_model(folder)
        yield OpenedModel(folder, model, TorchRuntime(model))
        return
    refuse_other_networks(base_of(folder).folder)
    reference = PretrainedRuntime(load_adapted(folder))
    if reference.model.facts.quantization is not None:
        raise unsupported(
            f"the adapter in {folder}",
            f"it was trained on a base of {reference.model.facts.quantization}, and which base it is merged into "
            "decides what is lost",
            "merge it with `loquela merge-adapter`, which measures that, and export the merged model",
        )
    with tempfile.TemporaryDirectory(prefix="loquela-merged-") as name:
        write_merged(load_adapted(folder), Path(name))
        yield OpenedModel(Path(name), load_model(Path(name)), reference)


def refuse_other_networks(folder: Path) -> None:
    """RecipeError(UNSUPPORTED_FORMAT) for a model folder whose network is not computed here exactly."""
    if computed_elsewhere(folder):
        kind = optional_json(folder / CONFIG_NAME).get("model_type")
        raise unsupported(
            f"the {kind} in {folder}",
            "its network (or a variant in its config.json) is not one that is exported with measured parity: gpt2, "
            "llama, mistral and qwen2 without windows and with no scaled positions but Llama 3's, qwen3, smollm3",
            "use it as the Hugging Face folder that it is",
        )
