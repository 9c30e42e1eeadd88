"""What a model says after held-out prompts, kept on disk, and how near another model comes to it.

Only one model need be in memory: the first one's logits are written to a folder, the second one's are compared with
them. Shapes: P compared positions of a prompt, V vocabulary.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from loquela.core.errors import ErrorCode, ProofError
from loquela.finetuning.merging.prompts import Prompt, Prompts
from loquela.models.pretrained.causal import CausalModel

GREEDY_TOKENS = 32
ANSWERS_AT_ONCE = 16
SPOOL_BYTES = 2 << 30
LOGIT_BYTES = 4


@dataclass(frozen=True)
class Likeness:
    """As in `MergeCandidate`, whose docstring says what each number is."""

    positions: int
    mean_kl: float
    max_kl: float
    top1_agreement: float
    greedy_match: float
    greedy_tokens_equal: float
    max_logit_difference: float


class Recorded:
    """The reference's answers: logits in `folder`, one file a prompt, and greedy answers."""

    def __init__(self, folder: Path, model: CausalModel, prompts: Prompts, stop_ids: list[int]) -> None:
        """Ask `model`; ProofError(NAN_DETECTED) for logits that are no numbers, OSError as the file system."""
        self.folder = folder
        self.stop_ids = stop_ids
        self.prompts = _within_budget(prompts, model.facts.vocab_size)
        for number, prompt in enumerate(self.prompts):
            np.save(self._place(number), _logits(model, prompt, "the adapter on its base").numpy())
        self.answers = _greedy(model, self.prompts, stop_ids)

    @property
    def positions(self) -> int:
        """How many next tokens are compared."""
        return sum(len(prompt.positions) for prompt in self.prompts)

    def logits(self, number: int) -> Tensor:
        """[P, V] of one prompt."""
        return torch.from_numpy(np.load(self._place(number)))

    def _place(self, number: int) -> Path:
        return self.folder / f"{number}.npy"


def compare(recorded: Recorded, model: CausalModel) -> Likeness:
    """`model` on the same prompts; ProofError(NAN_DETECTED) when one of its logits is no finite number."""
    divergences: list[float] = []
    same, largest = 0, 0.0
    for number, prompt in enumerate(recorded.prompts):
        wanted, found = recorded.logits(number), _logits(model, prompt, "the merged model")
        largest = max(largest, float((wanted - found).abs().max()))
        same += int((wanted.argmax(dim=-1) == found.argmax(dim=-1)).sum())
        divergences += _divergence(wanted, found).tolist()
    answers = _greedy(model, recorded.prompts, recorded.stop_ids)
    pairs = list(zip(recorded.answers, answers, strict=True))
    written = sum(len(wanted) for wanted, _ in pairs)
    return Likeness(
        positions=len(divergences),
        mean_kl=max(0.0, math.fsum(divergences) / len(divergences)),
        max_kl=max(0.0, *divergences),
        top1_agreement=same / len(divergences),
        greedy_match=sum(wanted == found for wanted, found in pairs) / len(pairs),
        greedy_tokens_equal=sum(_equal_before_difference(*pair) for pair in pairs) / written if written else 1.0,
        max_logit_difference=largest,
    )


def _divergence(wanted: Tensor, found: Tensor) -> Tensor:
    """KL(wanted ‖ found) of every position in nats, in float64 so that small ones are not lost in rounding."""
    reference = torch.log_softmax(wanted.double(), dim=-1)
    return (reference.exp() * (reference - torch.log_softmax(found.double(), dim=-1))).sum(dim=-1)


@torch.no_grad()
def _logits(model: CausalModel, prompt: Prompt, whose: str) -> Tensor:
    """[P, V], fp32, on the CPU; only the compared positions go through the output layer."""
    hidden = model.hidden(torch.tensor([prompt.ids], device=model.device))[0, list(prompt.positions)]
    logits: Tensor = model.head(hidden).float().cpu()
    if not bool(torch.isfinite(logits).all()):
        raise ProofError(
            ErrorCode.NAN_DETECTED,
            f"{whose} gives logits that are no finite numbers on a held-out prompt",
            "look at the training of the adapter; nothing is published",
        )
    return logits


def _greedy(model: CausalModel, prompts: Sequence[Prompt], stop_ids: list[int]) -> list[list[int]]:
    """A greedy answer to every prompt, several at a time: a quantised base is slow, whatever the number of rows."""
    answers: list[list[int]] = []
    for start in range(0, len(prompts), ANSWERS_AT_ONCE):
        asked = [prompt.ids[: prompt.asked] for prompt in prompts[start : start + ANSWERS_AT_ONCE]]
        room = min(GREEDY_TOKENS, model.facts.context - max(map(len, asked)))
        if room < 1:
            answers += [[] for _ in asked]
            continue
        answers += model.generate_greedy(asked, max_new_tokens=room, stop_ids=stop_ids, pad_id=stop_ids[0])
    return answers


def _equal_before_difference(wanted: list[int], found: list[int]) -> int:
    pairs = zip(wanted, found, strict=False)
    return next((place for place, (left, right) in enumerate(pairs) if left != right), min(len(wanted), len(found)))


def _within_budget(prompts: Prompts, vocab_size: int) -> tuple[Prompt, ...]:
    """As many positions of each prompt as the logits of all may take on disk together; at least one."""
    room = max(1, SPOOL_BYTES // (LOGIT_BYTES * vocab_size * len(prompts.prompts)))
    return tuple(Prompt(each.ids, each.positions[:room], each.asked) for each in prompts.prompts)
