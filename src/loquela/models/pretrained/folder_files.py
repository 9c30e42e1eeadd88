"""Which files of a Hugging Face folder make a base; what is refused: pickles, code, links and names that lead out."""

from __future__ import annotations

import json
import re
from pathlib import Path

from pydantic import JsonValue

from loquela.core.errors import ErrorCode
from loquela.models.pretrained.failures import unusable

CONFIG_NAME = "config.json"
GENERATION_NAME = "generation_config.json"
TOKENIZER_NAME = "tokenizer.json"
TOKENIZER_CONFIG_NAME = "tokenizer_config.json"
TEMPLATE_NAME = "chat_template.jinja"
WEIGHTS_NAME = "model.safetensors"
INDEX_NAME = "model.safetensors.index.json"
NEEDED = (CONFIG_NAME, TOKENIZER_NAME)
OPTIONAL = (
    GENERATION_NAME,
    TOKENIZER_CONFIG_NAME,
    TEMPLATE_NAME,
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "merges.txt",
    "tokenizer.model",
)
PICKLES = (".bin", ".pt", ".pth", ".pkl", ".ckpt")
CODE = re.compile(r"(modeling|configuration|tokenization|processing|generate)(_.*)?\.py")
# In tokenizer_config.json: control tokens that a text spells are read as text.
SPLITS = "split_special_tokens"
MAX_JSON_BYTES = 256 * 2**20
NO_CODE = "choose a base of a supported architecture that needs no code of its own"


def base_files(folder: Path, *, links_within: Path | None = None) -> list[str]:
    """Names of the files of the base in `folder`, sorted.

    Links may lead to anything below `links_within` (a download's cache); without one, only below `folder`.
    Raises DataError: DATA_NOT_FOUND, PRETRAINED_LOAD_FAILED naming what is missing or refused.
    """
    if not folder.is_dir():
        raise unusable(folder, "there is no such folder", "give the folder of a model", ErrorCode.DATA_NOT_FOUND)
    _refuse_code(folder)
    for name in NEEDED:
        if not (folder / name).is_file():
            raise unusable(folder, _why_needed(folder, name))
    names = [*NEEDED, *(name for name in OPTIONAL if (folder / name).is_file()), *weight_files(folder)]
    if INDEX_NAME not in names and WEIGHTS_NAME not in names:
        names.append(INDEX_NAME)
    _refuse_links(folder, names, (links_within or folder).resolve())
    return sorted(names)


def weight_files(folder: Path) -> list[str]:
    """The safetensors files: one, or those that the index names; DataError(PRETRAINED_LOAD_FAILED)."""
    if (folder / WEIGHTS_NAME).is_file():
        return [WEIGHTS_NAME]
    if (folder / INDEX_NAME).is_file():
        names = weight_names(folder)
        for name in names:
            if not (folder / name).is_file():
                raise unusable(folder, f"{INDEX_NAME} names {name}, which is missing")
        return names
    pickled = sorted(path.name for path in folder.iterdir() if path.suffix in PICKLES)
    if pickled:
        raise unusable(folder, f"its weights are pickled ({pickled[0]}), and a pickle can run any code")
    raise unusable(folder, f"there is no {WEIGHTS_NAME}")


def weight_names(folder: Path) -> list[str]:
    """The safetensors files that the index in `folder` names; DataError(PRETRAINED_LOAD_FAILED) for any other name."""
    mapping = read_json(folder / INDEX_NAME).get("weight_map")
    if not isinstance(mapping, dict) or not mapping:
        raise unusable(folder, f"{INDEX_NAME} is no index of weight files: it has no weight_map")
    names = sorted({str(name) for name in mapping.values()})
    for name in names:
        if Path(name).name != name or not name.endswith(".safetensors"):
            raise unusable(folder, f"{INDEX_NAME} names {name!r}, which is no safetensors file of this folder")
    return names


def read_json(path: Path) -> dict[str, JsonValue]:
    """The JSON object in a file of a base; DataError(PRETRAINED_LOAD_FAILED) when it holds none."""
    try:
        if path.stat().st_size > MAX_JSON_BYTES:
            raise unusable(path.parent, f"{path.name} has {path.stat().st_size:,} bytes, which no such file needs")
        value: JsonValue = json.loads(path.read_bytes())
    except (ValueError, RecursionError, OSError) as error:
        raise unusable(path.parent, f"{path.name} cannot be read: {error}") from error
    if not isinstance(value, dict):
        raise unusable(path.parent, f"{path.name} is not a JSON object")
    return value


def splits_control_tokens(folder: Path) -> bool:
    """Whether transformers reads control tokens in a text as text there; DataError as of `optional_json`."""
    return optional_json(folder / TOKENIZER_CONFIG_NAME).get(SPLITS) is True


def optional_json(path: Path) -> dict[str, JsonValue]:
    """As `read_json`; empty where there is no such file."""
    return read_json(path) if path.is_file() else {}


def _refuse_code(folder: Path) -> None:
    for name in (CONFIG_NAME, TOKENIZER_CONFIG_NAME, GENERATION_NAME):
        if "auto_map" in optional_json(folder / name):
            raise unusable(folder, f"its {name} asks for code of its own (auto_map), which is never run", NO_CODE)
    code = sorted(path.name for path in folder.iterdir() if CODE.fullmatch(path.name) or path.name == "custom_generate")
    if code:
        raise unusable(folder, f"it comes with code of its own ({code[0]}), which is never run", NO_CODE)


def _why_needed(folder: Path, name: str) -> str:
    if name == CONFIG_NAME:
        if (folder / "adapter_config.json").is_file():
            return f"it is an adapter, not a whole model (adapter_config.json, no {CONFIG_NAME})"
        return f"there is no {CONFIG_NAME}"
    older = sorted(path.name for path in folder.iterdir() if path.name in ("tokenizer.model", "vocab.json"))
    if older:
        return f"its tokenizer is in the older form {older[0]}; load it with AutoTokenizer and save_pretrained it here"
    return f"there is no {TOKENIZER_NAME}"


def _refuse_links(folder: Path, names: list[str], within: Path) -> None:
    for name in names:
        target = (folder / name).resolve()
        if not target.is_relative_to(within):
            raise unusable(folder, f"{name} is a link that leads out of the folder, to {target}", "copy the file there")
