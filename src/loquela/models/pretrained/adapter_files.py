"""What is checked of an adapter's folder before it is put on a base."""

from __future__ import annotations

from pathlib import Path

from pydantic import JsonValue

from loquela.artifacts.base import BASE_NAME, BaseIdentity, read_base
from loquela.core.errors import ErrorCode
from loquela.models.pretrained.failures import unusable_adapter
from loquela.models.pretrained.folder_files import PICKLES, read_json

ADAPTER_CONFIG_NAME = "adapter_config.json"
ADAPTER_WEIGHTS_NAME = "adapter_model.safetensors"
REMEDY = "give a LoRA adapter folder: adapter_config.json, adapter_model.safetensors"
# Others (pissa, olora, loftq, …) change the base's own weights when they begin.
KIND_BEGINNINGS = (True, False, "gaussian", None)


def is_adapter(folder: Path) -> bool:
    """Whether `folder` holds an adapter rather than a model."""
    return (folder / ADAPTER_CONFIG_NAME).is_file()


def adapter_settings(folder: Path, base: BaseIdentity) -> dict[str, JsonValue]:
    """adapter_config.json of a LoRA adapter that fits `base`; errors as of `attach_saved`."""
    if not is_adapter(folder):
        raise unusable_adapter(
            folder, f"it is no adapter: there is no {ADAPTER_CONFIG_NAME}", REMEDY, ErrorCode.DATA_NOT_FOUND
        )
    settings = read_json(folder / ADAPTER_CONFIG_NAME)
    if not (folder / ADAPTER_WEIGHTS_NAME).is_file():
        pickled = sorted(path.name for path in folder.iterdir() if path.suffix in PICKLES)
        why = f"it is pickled ({pickled[0]}), and a pickle can run any code" if pickled else "its weights are missing"
        raise unusable_adapter(folder, why, REMEDY)
    if settings.get("peft_type") != "LORA":
        raise unusable_adapter(folder, f"it is a {settings.get('peft_type')} adapter; LORA is supported", REMEDY)
    if settings.get("auto_mapping") is not None:
        raise unusable_adapter(
            folder, "its configuration names a class of its own (auto_mapping), which is never run", REMEDY
        )
    if settings.get("init_lora_weights") not in KIND_BEGINNINGS:
        raise unusable_adapter(
            folder,
            f"it began as {settings.get('init_lora_weights')}, which changes the base's own weights",
            "convert it to a plain LoRA with PEFT where it was made",
        )
    _check_base(folder, base)
    return settings


def _check_base(folder: Path, base: BaseIdentity) -> None:
    """An adapter of ours knows its base by digest; of one made elsewhere only the shapes can be compared."""
    if not (folder / BASE_NAME).is_file():
        return
    trained_on = read_base(folder)
    if trained_on.digest == base.digest:
        return
    changed = sorted(
        name
        for name in trained_on.files.keys() | base.files.keys()
        if trained_on.files.get(name) != base.files.get(name)
    )
    raise unusable_adapter(
        folder,
        f"the adapter was trained on {trained_on.source} ({trained_on.digest[:12]}), this base is {base.source} "
        f"({base.digest[:12]}); they differ in {', '.join(changed[:3]) or 'shape'}",
        "load it on the base that it was trained on",
        ErrorCode.CHECKPOINT_INCOMPATIBLE,
    )
