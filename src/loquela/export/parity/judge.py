"""Which limits of the recipe do not hold."""

from __future__ import annotations

from loquela.export.contracts import LogitParity, PruningCost, TokenParity
from loquela.recipe.export_section import ParityLimits


def failures(
    logits: LogitParity, tokens: TokenParity, pruning: PruningCost | None, limits: ParityLimits, max_pruning: float
) -> list[str]:
    """One sentence for each limit that does not hold, with both numbers."""
    found = []
    allowed = limits.max_logit_difference
    if allowed is not None and logits.max_logit_difference > allowed:
        found.append(f"a logit differs by {logits.max_logit_difference:.3g}, {allowed:g} is allowed")
    if logits.mean_kl > limits.max_mean_kl:
        found.append(f"the mean KL is {logits.mean_kl:.3g}, {limits.max_mean_kl:g} is allowed")
    if logits.top1_agreement < limits.min_top1_agreement:
        found.append(
            f"both expect the same token at {logits.top1_agreement:.2%} of the positions, "
            f"{limits.min_top1_agreement:.2%} are wanted"
        )
    if logits.loss_increase > limits.max_loss_increase:
        found.append(
            f"the loss rises by {logits.loss_increase:.4f} nats per token, {limits.max_loss_increase:g} is allowed"
        )
    if tokens.different:
        found.append(
            f"{tokens.different} of {tokens.strings} texts are cut into other tokens, "
            f"the first is {tokens.first_difference!r}"
        )
    if pruning is not None and pruning.loss_increase > max_pruning:
        found.append(
            f"pruning {pruning.share:.0%} costs {pruning.loss_increase:.4f} nats per token, {max_pruning:g} is allowed"
        )
    return found
