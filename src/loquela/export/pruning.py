"""Magnitude pruning: in every matrix, the smallest numbers become zero (Han et al. 2015, without retraining)."""

from __future__ import annotations

import torch

from loquela.models.contract import LanguageModel


def prune(model: LanguageModel, share: float) -> int:
    """Set the smallest `share` of every matrix of `model` to zero, in place; returns how many numbers became zero.

    Vectors stay (norms, biases), and so do embeddings and the head: a token that is rare has small numbers, and would
    go first. A tied head is the embedding.
    """
    zeros = 0
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.dim() < 2 or name in ("token_embedding", "position_embedding", "head"):
                continue
            count = int(parameter.numel() * share)
            if count == 0:
                continue
            smallest = torch.topk(parameter.abs().flatten(), count, largest=False, sorted=False).indices
            parameter.view(-1)[smallest] = 0.0
            zeros += count
    return zeros
