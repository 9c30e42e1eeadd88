"""TRL's trainers of preferences with the loss taken out of their hands, like that of answers.

WholeAnswers + trl.DPOTrainer ─▶ LoquelaDPOTrainer          WholeAnswers + trl.KTOTrainer ─▶ LoquelaKTOTrainer
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from torch import Tensor, nn

from loquela.core.extras import require
from loquela.finetuning.training.attention import EXTRA, PURPOSE
from loquela.finetuning.training.preference_loss import PreferenceLoss
from loquela.finetuning.training.trainer import QuietTrainer, TrainerHandle, stock_made, trainer_arguments
from loquela.models.pretrained.causal import CausalModel
from loquela.recipe.finetune_section import PreferenceOptions

# Arguments of TRL's trainer of answers that these have not.
ONLY_OF_ANSWERS = ("packing", "padding_free", "dataset_kwargs")


class WholeAnswers(QuietTrainer):
    """The loss of answers that are compared, row by row."""

    loquela_loss: PreferenceLoss

    def _prepare_dataset(self, dataset: object, *_: object) -> object:
        """Rows are tokens already."""
        return dataset

    def compute_loss(
        self,
        model: nn.Module,
        inputs: Mapping[str, Tensor],
        return_outputs: bool = False,
        num_items_in_batch: float | None = None,
    ) -> Tensor:
        """Sum of the rows' losses divided by `num_items_in_batch`, else their mean; outputs are not given."""
        losses = self.loquela_loss.compare(inputs).losses
        return losses.mean() if num_items_in_batch is None else losses.sum() / num_items_in_batch


def preference_trainer(
    model: CausalModel,
    directory: Path,
    *,
    loss: str,
    options: PreferenceOptions,
    paired: bool,
    device: str,
    seed: int,
    collator: Callable[[Sequence[Mapping[str, int]]], Mapping[str, Tensor]],
    rows: int,
) -> TrainerHandle:
    """TRL's DPOTrainer (`paired`) or KTOTrainer on `model`, whose rows are known by their numbers.

    ResourceError(MISSING_EXTRA) without TRL.
    """
    trl = require("trl", extra=EXTRA, purpose=PURPOSE)
    datasets = require("datasets", extra=EXTRA, purpose=PURPOSE)
    transformers = require("transformers", extra=EXTRA, purpose=PURPOSE)
    arguments = trainer_arguments(directory, device, seed)
    arguments = {key: value for key, value in arguments.items() if key not in ONLY_OF_ANSWERS}
    arguments["beta"] = options.beta
    # TRL would turn dropout off in the model itself, whatever was asked for; the reference drops nothing anyway.
    arguments["disable_dropout"] = False
    # TRL's own estimate of how far the model moved wants an order of rows that is not ours; ours needs none.
    arguments["loss_type"] = loss if paired else "apo_zero_unpaired"
    with stock_made(model):
        config = (trl.DPOConfig if paired else trl.KTOConfig)(**arguments)
        stock = trl.DPOTrainer if paired else trl.KTOTrainer
        kind = type("LoquelaDPOTrainer" if paired else "LoquelaKTOTrainer", (WholeAnswers, stock), {})
        made: TrainerHandle = kind(
            model=model.module,
            args=config,
            data_collator=collator,
            train_dataset=datasets.Dataset.from_dict({"row": list(range(rows))}),
            processing_class=transformers.AutoTokenizer.from_pretrained(
                str(model.base.folder), local_files_only=True, trust_remote_code=False
            ),
        )
    setattr(made, "loquela_loss", PreferenceLoss(model, loss, options))  # noqa: B010
    return made
