"""An engine on one of our networks in torch: for training and evaluation, and for the folders they write."""

from __future__ import annotations

from loquela.inference.engine import Engine, TextEdges
from loquela.inference.runtimes.torch_model import TorchRuntime
from loquela.models.contract import LanguageModel
from loquela.recipe.schema import NormalizationSection
from loquela.tokenizers.contract import TokenizerHandle


class ModelEngine(Engine):
    """An engine whose `model` may be looked at, moved to a device, and trained on between two calls."""

    def __init__(
        self,
        model: LanguageModel,
        tokenizer: TokenizerHandle,
        normalization: NormalizationSection | None = None,
        edges: TextEdges | None = None,
    ) -> None:
        window = model.config.max_sequence_length
        super().__init__(TorchRuntime(model), tokenizer, normalization, trained_window=window, edges=edges)
        self.model = model
