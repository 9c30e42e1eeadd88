"""Which kinds of examples a fine-tuning task can learn from."""

from __future__ import annotations

from collections.abc import Mapping

from loquela.core.errors import ErrorCode, RecipeError

LEARNT_BY: dict[str, tuple[str, ...]] = {
    "sft": ("messages", "prompt_completion", "text"),
    "dpo": ("preference",),
    "kto": ("feedback",),
}


def check_kinds(task: str, kinds: Mapping[str, int]) -> None:
    """RecipeError(CONFIG_INVALID) for examples that `task` would learn the wrong thing from, or nothing."""
    wrong = {kind: number for kind, number in kinds.items() if kind not in LEARNT_BY[task]}
    if not wrong:
        return
    told = ", ".join(f"{number:,} of kind {kind}" for kind, number in sorted(wrong.items()))
    others = [other for other, learnt in LEARNT_BY.items() if set(kinds) <= set(learnt)]
    raise RecipeError(
        ErrorCode.CONFIG_INVALID,
        f"finetune.task: {task} learns from {' and '.join(LEARNT_BY[task])}, but the examples hold {told}",
        f"write finetune.task: {others[0]}" if others else "keep rows of different kinds in recipes of their own",
    )
