"""TRL's trainers with what Loquela does itself taken out of their hands: loss, logging, saving, telemetry.

A trainer of TRL checks the model, wraps it for its devices and says what the loss of a batch is; steps, order,
accumulation, checkpoints and records are those of Loquela's training loop, which asks it for the loss. The class is
made when it is needed, since TRL takes seconds to import:

    QuietTrainer + trl.SFTTrainer ─▶ the trainer of answers; its loss is `learnt_loss`
    QuietTrainer + trl.DPOTrainer ─▶ …
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from torch import Tensor, nn

from loquela.core.extras import require
from loquela.finetuning.training.attention import EXTRA, PURPOSE
from loquela.finetuning.training.loss import learnt_loss
from loquela.models.pretrained.causal import CausalModel
from loquela.models.pretrained.load import quiet

Loss = Callable[[Mapping[str, Tensor]], Tensor]


# TRL turns it on in the configuration of every mixture of experts; then they cannot write text from a cache any more.
ROUTER_SWITCH = "output_router_logits"


class TrainerHandle(Protocol):
    """What we ask of a trainer of TRL."""

    model: nn.Module

    def compute_loss(
        self,
        model: nn.Module,
        inputs: Mapping[str, Tensor],
        return_outputs: bool = False,
        num_items_in_batch: float | None = None,
    ) -> Tensor:
        """The loss of a batch, divided by `num_items_in_batch`."""


class QuietTrainer:
    """Goes before a trainer of TRL among the bases of a class: nothing is sent, nothing is written by it."""

    def _send_telemetry(self) -> None:
        """TRL tells its makers what is trained; Loquela tells nobody."""

    def create_model_card(self, *positional: object, **named: object) -> None:
        """The card is made of what was proven, later."""


class LearntTokens(QuietTrainer):
    """The loss of supervised fine-tuning, over learnt tokens alone."""

    loquela_loss: Loss

    def compute_loss(
        self,
        model: nn.Module,
        inputs: Mapping[str, Tensor],
        return_outputs: bool = False,
        num_items_in_batch: float | None = None,
    ) -> Tensor:
        """Σ weight · -log p, divided by `num_items_in_batch`, else by the weights of this batch.

        No entropy, no accuracy, no logits where nothing is learnt; outputs are not given.
        """
        total = self.loquela_loss(inputs)
        return total / (float(inputs["weights"].sum()) if num_items_in_batch is None else num_items_in_batch)


def sft_trainer(
    model: CausalModel,
    directory: Path,
    *,
    device: str,
    seed: int,
    collator: Callable[[Sequence[Mapping[str, int]]], Mapping[str, Tensor]],
    rows: int,
) -> TrainerHandle:
    """TRL's SFTTrainer on `model`, whose rows are known by their numbers.

    What TRL turns on by itself is off: bf16 where nobody asked, gradient checkpointing, evaluation of all logits,
    saving, reports. ResourceError(MISSING_EXTRA) without TRL.
    """
    trl = require("trl", extra=EXTRA, purpose=PURPOSE)
    datasets = require("datasets", extra=EXTRA, purpose=PURPOSE)
    transformers = require("transformers", extra=EXTRA, purpose=PURPOSE)
    with stock_made(model):
        config = trl.SFTConfig(**trainer_arguments(directory, device, seed))
        kind = type("LoquelaSFTTrainer", (LearntTokens, trl.SFTTrainer), {})
        made: TrainerHandle = kind(
            model=model.module,
            args=config,
            data_collator=collator,
            train_dataset=datasets.Dataset.from_dict({"row": list(range(rows))}),
            processing_class=transformers.AutoTokenizer.from_pretrained(
                str(model.base.folder), local_files_only=True, trust_remote_code=False
            ),
        )
    setattr(made, "loquela_loss", lambda inputs: learnt_loss(model, inputs))  # noqa: B010
    return made


@contextmanager
def stock_made(model: CausalModel) -> Iterator[None]:
    """While a trainer of TRL is made: no hub is asked, nothing is said, and the model is given back as it was."""
    transformers = require("transformers", extra=EXTRA, purpose=PURPOSE)
    kept = {name: parameter.detach().clone() for name, parameter in _learning(model.module)}
    config_of_network = getattr(model.network, "config", None)
    routed = getattr(config_of_network, ROUTER_SWITCH, None)
    with quiet(transformers), _offline(), warnings.catch_warnings():
        # Of names that TRL still uses and transformers will drop.
        warnings.simplefilter("ignore", FutureWarning)
        yield
    if routed is not None:
        setattr(config_of_network, ROUTER_SWITCH, routed)
    _give_back(model.module, kept)


def trainer_arguments(directory: Path, device: str, seed: int) -> dict[str, object]:
    """Arguments that every trainer of TRL is made with."""
    return {
        "output_dir": str(directory),
        "use_cpu": device == "cpu",
        "seed": seed,
        "bf16": False,
        "fp16": False,
        "gradient_checkpointing": False,
        "max_length": None,
        "packing": False,
        "padding_free": False,
        "remove_unused_columns": False,
        "dataset_kwargs": {"skip_prepare_dataset": True},
        "report_to": [],
        "save_strategy": "no",
        "eval_strategy": "no",
        "logging_strategy": "no",
        "disable_tqdm": True,
        "push_to_hub": False,
        "average_tokens_across_devices": False,
    }


def _learning(module: nn.Module) -> Iterator[tuple[str, nn.Parameter]]:
    return ((name, parameter) for name, parameter in module.named_parameters() if parameter.requires_grad)


def _give_back(module: nn.Module, kept: Mapping[str, Tensor]) -> None:
    """TRL rounds the adapter of a quantised base to bf16; ours stays in float32, value by value."""
    for name, parameter in _learning(module):
        if parameter.dtype != kept[name].dtype:
            parameter.data = kept[name]


@contextmanager
def _offline() -> Iterator[None]:
    """No library may ask a hub for anything while the trainer is made."""
    before = os.environ.get("HF_HUB_OFFLINE")
    os.environ["HF_HUB_OFFLINE"] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ["HF_HUB_OFFLINE"]
        else:
            os.environ["HF_HUB_OFFLINE"] = before
