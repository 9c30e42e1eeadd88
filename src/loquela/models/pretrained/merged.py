"""An adapter added to its base's weights, as a plain Hugging Face folder."""

from __future__ import annotations

import shutil
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from loquela.core.atomic import atomic_path, write_error
from loquela.models.pretrained.adapters import AdaptedModel
from loquela.models.pretrained.folder_files import CONFIG_NAME, GENERATION_NAME, WEIGHTS_NAME


def write_merged(adapted: AdaptedModel, folder: Path) -> None:
    """Write the merged network to `folder` in float32; the live model is taken apart by it.

    Raises ResourceError when the file system refuses.
    """
    network = adapted.handle.merge_and_unload(safe_merge=True)
    tied = adapted.base.identity.tied
    tensors: dict[str, Tensor] = {
        name: tensor.detach().to("cpu", torch.float32).contiguous()
        for name, tensor in network.state_dict().items()
        if not (tied and name == "lm_head.weight")
    }
    with atomic_path(folder / WEIGHTS_NAME) as temporary:
        save_file(tensors, temporary, metadata={"format": "pt"})
    try:
        for name in (CONFIG_NAME, GENERATION_NAME):
            if (adapted.base.folder / name).is_file():
                shutil.copyfile(adapted.base.folder / name, folder / name)
    except OSError as error:
        raise write_error(error, folder) from error
