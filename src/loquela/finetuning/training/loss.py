"""Hidden states, logits and the loss of a batch: head and softmax run only where the next token is learnt.

With a vocabulary of 49 000 the head is a third of a small model's arithmetic, and most tokens of a conversation are
seen and not learnt. Neither entropy nor accuracy of all logits is computed on the way.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from loquela.finetuning.training.attention import LENGTHS, NAME, mask_left_out
from loquela.finetuning.training.collate import IGNORED
from loquela.models.head_loss import chunked_cross_entropy
from loquela.models.pretrained.causal import BodyOutput, CausalModel


def hidden_states(model: CausalModel, batch: Mapping[str, Tensor]) -> Tensor:
    """Final hidden states [B, T, D] of a batch of either layout.

    Padding stands behind its row, where causal attention does not look: no mask is needed for it.
    """
    ids = batch["input_ids"]
    if "lengths" not in batch:
        return model.hidden(ids)
    if model.facts.attention != NAME:
        return model.hidden(ids, position_ids=batch["position_ids"])
    lengths = tuple(batch["lengths"].tolist())
    with mask_left_out():
        output: BodyOutput = model.body(
            input_ids=ids, position_ids=batch["position_ids"], use_cache=False, **{LENGTHS: lengths}
        )
    return output.last_hidden_state


def learnt_loss(model: CausalModel, batch: Mapping[str, Tensor]) -> Tensor:
    """Σ weight · -log p over the learnt tokens of a batch, a scalar in float32."""
    hidden = hidden_states(model, batch)
    targets = batch["labels"][:, 1:]
    learnt = targets != IGNORED
    states = hidden[:, :-1][learnt]
    weights = batch["weights"][:, 1:][learnt]
    uniform = bool((weights == 1.0).all()) if weights.device.type == "cpu" else False
    return chunked_cross_entropy(states, model.head_weight, targets[learnt], weights=None if uniform else weights)


@torch.no_grad()
def all_logits(model: CausalModel, batch: Mapping[str, Tensor]) -> Tensor:
    """Logits [B, T, V] at every place of a batch."""
    logits: Tensor = model.head(hidden_states(model, batch))
    return logits
