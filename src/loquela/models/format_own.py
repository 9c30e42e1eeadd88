"""Our own folder, for networks that no class of transformers computes exactly: our names, our configuration."""

from __future__ import annotations

from pydantic import TypeAdapter

from loquela.models.config import ModelConfig
from loquela.models.formats import Config, Settings, Tensors

README = """# A Loquela model

No class of `transformers` computes this network exactly, so `AutoModelForCausalLM` does not load it.
Loquela does, from `config.json` and `model.safetensors`:

    from pathlib import Path
    from loquela.models.folder import load_model

    model = load_model(Path("this folder"))
    logits = model(tokens)          # int64 [rows, length] -> float32 [rows, length, vocabulary]
"""

_adapter: TypeAdapter[Config] = TypeAdapter(ModelConfig)


class OwnFormat:
    """`model_type: loquela`."""

    model_type = "loquela"

    def fits(self, config: Config) -> bool:
        """Every network of ours."""
        return True

    def settings(self, config: Config) -> Settings:
        """Contents of config.json."""
        return {"model_type": self.model_type, "loquela": config.model_dump(mode="json")}

    def config(self, settings: Settings) -> Config:
        """The network of a config.json."""
        return _adapter.validate_python(settings.get("loquela"))

    def pack(self, config: Config, state: Tensors) -> Tensors:
        """Our names are the format's."""
        return dict(state)

    def unpack(self, config: Config, tensors: Tensors) -> Tensors:
        """Our names are the format's: everything is taken, and the network says what is too much or missing."""
        state = dict(tensors)
        tensors.clear()
        return state
