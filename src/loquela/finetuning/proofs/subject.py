"""What a proof may ask of a training that is ready to start: the parts that training itself will use, live.

A proof never builds a batch, a loss or a step of its own: a fault in the real ones is what it looks for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from pydantic import JsonValue
from torch import Tensor, nn
from torch.optim import Optimizer

from loquela.artifacts.token_rows import TokenRow
from loquela.recipe.finetune_section import FinetuneSection

Batch = Mapping[str, Tensor]
"""What the collator made: `input_ids`, `labels` (-100: seen, not learnt), and `attention_mask` or `position_ids`."""


class Subject(Protocol):
    """A fine-tuning with everything live: rows, collator, model, loss, optimizer, checkpoints.

    B rows, T tokens of the longest row of a batch, V rows of the output matrix.
    """

    @property
    def settings(self) -> FinetuneSection:
        """As the recipe wrote them."""

    @property
    def model(self) -> nn.Module:
        """What is trained: the base with its adapter, or the base alone under `method: full`."""

    @property
    def precision(self) -> str:
        """Number format of the arithmetic: fp32, bf16 or fp16."""

    @property
    def training_rows(self) -> Sequence[TokenRow]:
        """Every row of the split `train`."""

    @property
    def evaluation_rows(self) -> Sequence[TokenRow]:
        """Every held-out row; may be empty."""

    @property
    def directory(self) -> Path:
        """The run's folder."""

    @property
    def examples(self) -> Path:
        """The examples artifact that the rows come from."""

    @property
    def stop_ids(self) -> frozenset[int]:
        """Tokens that end an answer."""

    @property
    def writes(self) -> bool:
        """Whether this process keeps the records; of several that prove together, one does."""

    def check_stop(self) -> None:
        """Raise Interrupted when somebody asked the run to stop."""

    def batch(self, rows: Sequence[TokenRow]) -> Batch:
        """`rows` as the training's collator gives them to the model, on its device."""

    def logits(self, batch: Batch) -> Tensor:
        """[B, T, V] of the training's forward pass in evaluation mode, without gradients."""

    def step_gradients(self, micro_batches: Sequence[Batch]) -> float:
        """One optimizer step's gradients, accumulated and scaled as the training does, left in `.grad`; its loss.

        Gradients of before are gone. Nothing is clipped and nothing is updated.
        """

    def new_optimizer(self, learning_rate: float) -> Optimizer:
        """The recipe's optimizer over what is trained, without a history."""

    def evaluate(self, rows: Sequence[TokenRow]) -> float:
        """Mean loss of the learnt tokens of `rows`, as the training evaluates."""

    def generate(self, prompts: Sequence[Sequence[int]], max_new_tokens: int) -> list[list[int]]:
        """Greedy answers, each without its prompt and with the stop token it ended in, where it did."""

    def decode(self, ids: Sequence[int]) -> str:
        """Text of `ids`, control tokens left out."""

    def save_state(self, directory: Path, optimizer: Optimizer) -> None:
        """Write what is trained and the optimizer's state, as the training's checkpoints hold them."""

    def load_state(self, directory: Path, optimizer: Optimizer) -> None:
        """Read them back into the live model and into `optimizer`."""

    def effective_settings(self) -> dict[str, JsonValue]:
        """Settings that really hold, read from the live parts, by their recipe key below `finetune`."""
