"""From a folder to an engine on a network of transformers: adapters on their bases, shapes that ours do not compute.

adapter_config.json ─▶ base by base.json, proven ─▶ adapter on it
base.json alone     ─▶ the folder that it names, proven
config.json         ─▶ our own network where it computes that model exactly, else transformers'
"""

from __future__ import annotations

from pathlib import Path

from loquela.artifacts.adapter import is_adapter
from loquela.artifacts.normalization import read_normalization
from loquela.core.errors import DataError
from loquela.inference.engine import Engine, TextEdges
from loquela.inference.runtimes.pretrained import PretrainedRuntime
from loquela.inference.text_edges import beginning_id
from loquela.models.folder import read_config
from loquela.models.pretrained.adapted import load_adapted
from loquela.models.pretrained.causal import CausalModel
from loquela.models.pretrained.folder_files import CONFIG_NAME, optional_json
from loquela.models.pretrained.load import load_base_model
from loquela.models.pretrained.open import open_base
from loquela.models.pretrained.shapes import ARCHITECTURES
from loquela.tokenizers.load import load_tokenizer


def computed_elsewhere(folder: Path) -> bool:
    """Whether transformers computes the model in `folder`: an adapter, a base elsewhere, a shape that is not ours."""
    if is_adapter(folder) or not (folder / CONFIG_NAME).is_file():
        return True
    if optional_json(folder / CONFIG_NAME).get("model_type") not in ARCHITECTURES:
        return False
    try:
        read_config(folder)
    except DataError:
        return True
    return False


def open_pretrained(folder: Path, tokenizer: Path) -> Engine:
    """The engine of what `computed_elsewhere` says yes to, on the CPU in float32; `tokenizer` is its folder.

    Raises DataError as `load_adapted`, `open_base` and `load_base_model`; ResourceError(MISSING_EXTRA).
    """
    model = _model(folder)
    edges = TextEdges(beginning_id(tokenizer), frozenset(model.base.identity.eos_ids))
    return Engine(PretrainedRuntime(model), load_tokenizer(tokenizer), read_normalization(tokenizer), edges=edges)


def _model(folder: Path) -> CausalModel:
    return load_adapted(folder) if is_adapter(folder) else load_base_model(open_base(folder))
