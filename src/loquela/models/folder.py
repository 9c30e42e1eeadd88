"""Hugging Face folders: config.json and model.safetensors, written and read; other people's GPT-2 and Llama too.

    network → first format that holds it exactly (gpt2, llama, qwen3, smollm3, loquela) → folder → network
    folder of mistral or qwen2 → network

Only safetensors are read: no pickle, no code from a folder.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

import torch
from pydantic import JsonValue, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from loquela.core.atomic import atomic_path, write_json, write_text
from loquela.core.errors import DataError, ErrorCode
from loquela.core.near_names import unknown_name
from loquela.models.build import empty_model
from loquela.models.contract import LanguageModel
from loquela.models.format_gpt2 import Gpt2Format
from loquela.models.format_like_llama import MistralFormat, Qwen2Format
from loquela.models.format_llama import LlamaFormat
from loquela.models.format_own import README, OwnFormat
from loquela.models.formats import Config, FolderFormat, Settings, Tensors

CONFIG_NAME = "config.json"
WEIGHTS_NAME = "model.safetensors"
INDEX_NAME = "model.safetensors.index.json"

# In the order in which they are tried for saving; the last holds everything.
FORMATS: tuple[FolderFormat, ...] = (
    Gpt2Format(),
    LlamaFormat("llama"),
    LlamaFormat("qwen3"),
    LlamaFormat("smollm3"),
    MistralFormat(),
    Qwen2Format(),
    OwnFormat(),
)


def folder_format(config: Config) -> FolderFormat:
    """The format in which `save_model` writes this network."""
    return next(form for form in FORMATS if form.fits(config))


def save_model(
    model: LanguageModel,
    directory: Path,
    *,
    bos_id: int | None = None,
    eos_id: int | None = None,
    pad_id: int | None = None,
) -> None:
    """Write `model` to `directory` in float32; the special ids, where given, tell other tools when to stop.

    Raises ResourceError when the file system refuses.
    """
    form = folder_format(model.config)
    settings = form.settings(model.config)
    settings |= {"dtype": "float32", "bos_token_id": bos_id, "eos_token_id": eos_id, "pad_token_id": pad_id}
    state = {name: tensor.detach().to("cpu", torch.float32) for name, tensor in model.state_dict().items()}
    tensors = {name: tensor.contiguous() for name, tensor in form.pack(model.config, state).items()}
    with atomic_path(directory / WEIGHTS_NAME) as temporary:
        save_file(tensors, temporary, metadata={"format": "pt"})
    if isinstance(form, OwnFormat):
        write_text(directory / "README.md", README)
    write_json(directory / CONFIG_NAME, settings)


def read_config(directory: Path) -> Config:
    """The network that `directory` holds, without reading its weights; DataError(PRETRAINED_LOAD_FAILED)."""
    settings = _read_settings(directory)
    return _config(directory, settings, _format_of(directory, settings))


def load_model(directory: Path) -> LanguageModel:
    """The network in `directory`, in float32 on the CPU, ready to use (`eval` mode).

    Raises DataError(PRETRAINED_LOAD_FAILED) naming what is missing, too much, misshapen, unsafe or unknown.
    """
    settings = _read_settings(directory)
    form = _format_of(directory, settings)
    config = _config(directory, settings, form)
    tensors = {name: tensor.to(torch.float32) for name, tensor in _read_tensors(directory).items()}
    try:
        state = form.unpack(config, tensors)
    except KeyError as error:
        raise _failed(directory, f"the tensor {error.args[0]} is missing") from error
    if tensors:
        raise _failed(directory, f"it holds tensors that its config.json has no place for: {_some(tensors)}")
    return _filled(directory, config, state)


def _filled(directory: Path, config: Config, state: Tensors) -> LanguageModel:
    model = empty_model(config)
    own = model.state_dict()
    odd = own.keys() ^ state.keys()
    if odd:
        raise _failed(directory, f"these weights are in only one of config.json and the tensors: {_some(odd)}")
    for name, parameter in own.items():
        if parameter.shape != state[name].shape:
            raise _failed(
                directory,
                f"{name} is {list(state[name].shape)} in the file and {list(parameter.shape)} by its config.json",
            )
    model.load_state_dict(state, strict=True)
    return model.eval()


def _read_settings(directory: Path) -> Settings:
    path = directory / CONFIG_NAME
    try:
        settings: JsonValue = json.loads(path.read_bytes())
    except FileNotFoundError as error:
        raise _failed(directory, f"there is no {CONFIG_NAME}") from error
    except (ValueError, OSError) as error:
        raise _failed(directory, f"{CONFIG_NAME} cannot be read: {error}") from error
    if not isinstance(settings, dict):
        raise _failed(directory, f"{CONFIG_NAME} is not a JSON object")
    if "auto_map" in settings:
        raise _failed(directory, "its config.json asks for code of its own (auto_map), which is never run")
    if "family" in settings and "model_type" not in settings:
        # A checkpoint of a run holds our own network under our own names, without the folder's wrapping.
        return {"model_type": OwnFormat.model_type, "loquela": settings}
    return settings


def _format_of(directory: Path, settings: Settings) -> FolderFormat:
    model_type = str(settings.get("model_type"))
    for form in FORMATS:
        if form.model_type == model_type:
            return form
    raise _failed(directory, unknown_name("model_type", model_type, [form.model_type for form in FORMATS]))


def _config(directory: Path, settings: Settings, form: FolderFormat) -> Config:
    try:
        return form.config(settings)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        raise _failed(directory, f"{CONFIG_NAME}: {key}: {first['msg']} (it says {first['input']!r})") from error
    except ValueError as error:
        raise _failed(directory, f"{CONFIG_NAME}: {error}") from error


def _read_tensors(directory: Path) -> Tensors:
    tensors: Tensors = {}
    for name in _weight_files(directory):
        try:
            tensors |= load_file(directory / name)
        except (SafetensorError, OSError) as error:
            raise _failed(directory, f"{name} cannot be read: {error}") from error
    return tensors


def _weight_files(directory: Path) -> list[str]:
    if (directory / WEIGHTS_NAME).is_file():
        return [WEIGHTS_NAME]
    if (directory / INDEX_NAME).is_file():
        return _indexed_files(directory)
    pickled = sorted(path.name for path in directory.glob("*.bin"))
    if pickled:
        raise _failed(directory, f"its weights are pickled ({pickled[0]}), and a pickle can run any code")
    raise _failed(directory, f"there is no {WEIGHTS_NAME}")


def _indexed_files(directory: Path) -> list[str]:
    try:
        index = json.loads((directory / INDEX_NAME).read_bytes())
        names = sorted({str(name) for name in index["weight_map"].values()})
    except (ValueError, KeyError, AttributeError, TypeError, OSError) as error:
        raise _failed(directory, f"{INDEX_NAME} is no index of weight files") from error
    for name in names:
        if Path(name).name != name or not name.endswith(".safetensors"):
            raise _failed(directory, f"{INDEX_NAME} names {name!r}, which is no safetensors file of this folder")
    return names


def _some(names: Iterable[str]) -> str:
    listed = sorted(names)
    return ", ".join(listed[:5]) + (f" and {len(listed) - 5} more" if len(listed) > 5 else "")


def _failed(directory: Path, what: str) -> DataError:
    return DataError(
        ErrorCode.PRETRAINED_LOAD_FAILED,
        f"{directory} is no model that can be loaded: {what}",
        "give a folder with config.json and model.safetensors of a GPT-2, Llama, Mistral, Qwen2, Qwen3, SmolLM3 or "
        "Loquela model; a pickled one is converted by loading it where it is trusted and calling save_pretrained",
        details={"path": str(directory)},
    )
