"""The folder that people load: the adapter as plain PEFT reads it, or a whole model, with tokenizer, template and base.

It is filled from tensors that the checkpointer has copied, in its own thread, while the training goes on.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor

from loquela.artifacts.adapter import GENERATION_NAME, TOKENIZER_FILES, WEIGHTS_NAME
from loquela.artifacts.base import Base, write_base
from loquela.artifacts.examples_facts import read_template_record
from loquela.artifacts.manifest import corrupt
from loquela.core.atomic import write_json, write_text
from loquela.core.errors import ErrorCode, InternalError
from loquela.finetuning.training.saved_state import trained_names
from loquela.models.pretrained.adapters import AdaptedModel, adapter_tensors, save_adapter
from loquela.models.pretrained.causal import CausalModel
from loquela.models.pretrained.folder_files import (
    SPLITS,
    TOKENIZER_CONFIG_NAME,
    optional_json,
    splits_control_tokens,
)
from loquela.tokenizers.template_file import TEMPLATE_NAME
from loquela.training.checkpoint import Export, Tensors
from loquela.training.shards import put
from loquela.training.staging import write_safetensors

MODEL_NAME = "model.safetensors"
COPIED = ("config.json", "generation_config.json")


def exporter(model: CausalModel, names: Mapping[str, str], examples: Path) -> Export:
    """A function (folder, weights by their names in the live model) that fills an empty folder; OSError.

    `names` are those of `published_names`.
    """

    def export(folder: Path, weights: Tensors) -> None:
        published = {public: weights[own] for public, own in names.items()}
        if isinstance(model, AdaptedModel):
            save_adapter(model, folder, published)
        else:
            _save_whole(model, folder, published)
        copy_tokenizer(model.base, examples, folder)

    return export


def published_names(model: CausalModel) -> dict[str, str]:
    """Name in the folder → name in the live model, of everything that is trained; asked before it is shared out.

    InternalError when PEFT would leave out a tensor that learns.
    """
    trained = trained_names(model.module)
    if not isinstance(model, AdaptedModel):
        return {name: name for name in trained}
    own = {tensor.data_ptr(): name for name, tensor in model.module.state_dict().items() if name in trained}
    found = {public: own[tensor.data_ptr()] for public, tensor in adapter_tensors(model).items()}
    lost = sorted(trained - set(found.values()))
    if lost:
        raise InternalError(
            ErrorCode.INTERNAL,
            f"PEFT does not save {lost[0]}, which is trained, and {len(lost) - 1} more",
            "report this with the recipe; leave finetune.lora.dora out until then",
        )
    return found


@torch.no_grad()
def read_into(model: CausalModel, folder: Path, names: Mapping[str, str]) -> None:
    """Put the weights of such a folder into the live model, value by value; DataError(CORRUPTION).

    `names` are those of `published_names`.
    """
    name = WEIGHTS_NAME if isinstance(model, AdaptedModel) else MODEL_NAME
    try:
        saved: Mapping[str, Tensor] = load_file(folder / name)
    except Exception as error:  # safetensors raises its own untyped error class for any damage
        raise corrupt(folder, f"{name} cannot be read: {error}") from error
    if set(saved) != set(names):
        raise corrupt(folder, f"{name} holds other tensors than are trained")
    live = dict(model.module.named_parameters())
    for public, own in names.items():
        put(live[own], saved[public])


def copy_tokenizer(base: Base, examples: Path, folder: Path) -> None:
    """The base's tokenizer files, the template that the rows were made by, and what its answers end with; OSError.

    A template writes control tokens as text. A base that is no chat may read them as that (`split_special_tokens`, as
    models trained from scratch here do); what is handed on has a template, and reads them as the tokens they are.
    """
    for name in TOKENIZER_FILES:
        if (base.folder / name).is_file():
            shutil.copyfile(base.folder / name, folder / name)
    record = read_template_record(examples)
    if record is not None and record.syntax == "jinja":
        write_text(folder / TEMPLATE_NAME, record.source)
        if splits_control_tokens(folder):
            settings = optional_json(folder / TOKENIZER_CONFIG_NAME)
            write_json(folder / TOKENIZER_CONFIG_NAME, {k: v for k, v in settings.items() if k != SPLITS})
        _write_ends(base, record.ends, folder)


def _write_ends(base: Base, ends: Sequence[int], folder: Path) -> None:
    """generation_config.json, where the base alone would not stop at what answers were taught to end with."""
    stops = sorted({*base.identity.eos_ids, *ends})
    if stops != sorted(base.identity.eos_ids):
        settings = optional_json(base.folder / GENERATION_NAME)
        write_json(folder / GENERATION_NAME, {**settings, "eos_token_id": [*stops]})


def _save_whole(model: CausalModel, folder: Path, weights: Mapping[str, Tensor]) -> None:
    write_safetensors(folder / MODEL_NAME, weights)
    for name in COPIED:
        if (model.base.folder / name).is_file():
            shutil.copyfile(model.base.folder / name, folder / name)
    write_base(folder, model.base.identity.model_copy(update={"location": str(model.base.folder.resolve())}))
