"""Which limits a merged model misses, and which of several is taken."""

from __future__ import annotations

from collections.abc import Sequence

from loquela.artifacts.merge_report import MergeCandidate
from loquela.finetuning.merging.outputs import Likeness
from loquela.recipe.finetune_section import MergeOptions


def failures(likeness: Likeness, limits: MergeOptions) -> list[str]:
    """Every limit that does not hold, in words with both numbers."""
    found = []
    if not likeness.mean_kl <= limits.max_mean_kl:
        found.append(f"mean KL {likeness.mean_kl:.3g} nats, allowed {limits.max_mean_kl:.3g}")
    if likeness.top1_agreement < limits.min_top1_agreement:
        found.append(f"same likeliest token {likeness.top1_agreement:.2%}, wanted {limits.min_top1_agreement:.2%}")
    if likeness.greedy_match < limits.min_greedy_match:
        found.append(f"same greedy answers {likeness.greedy_match:.2%}, wanted {limits.min_greedy_match:.2%}")
    return found


def best(candidates: Sequence[MergeCandidate]) -> MergeCandidate:
    """The one with the smallest mean KL among those within the limits, else among all."""
    within = [each for each in candidates if not each.failures]
    return min(within or candidates, key=lambda each: each.mean_kl)
