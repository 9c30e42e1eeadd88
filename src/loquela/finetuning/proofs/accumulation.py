"""One batch of several rows and as many micro-batches of one row give the same gradients, however unequal the rows."""

from __future__ import annotations

from loquela.artifacts.proof import Proof
from loquela.core.errors import ErrorCode
from loquela.finetuning.proofs.borrowed import borrowed, without_dropout
from loquela.finetuning.proofs.chosen_rows import learnt, unequal_rows
from loquela.finetuning.proofs.numbers import allowed, finite, gradients_of, norm_of, relative_difference
from loquela.finetuning.proofs.subject import Subject

NAME = "accumulation_invariance"
ROWS = 4


def prove_accumulation(subject: Subject) -> Proof:
    """Relative difference |g(1 x 4) - g(4 x 1)| / |g(1 x 4)| of the real loss on real rows, dropout off.

    A mean of means (every micro-batch divided by its own tokens) fails as soon as rows learn unequally many tokens.
    """
    rows = unequal_rows(subject.training_rows, ROWS)
    with borrowed(subject.model), without_dropout(subject.model):
        loss_together = subject.step_gradients([subject.batch(rows)])
        together = gradients_of(subject.model)
        loss_apart = subject.step_gradients([subject.batch([row]) for row in rows])
        apart = gradients_of(subject.model)
    difference, worst = relative_difference(together, apart)
    limit = allowed(subject, subject.settings.proofs.max_gradient_difference)
    size = norm_of(together)
    passed = 0 < size < float("inf") and difference <= limit
    return Proof(
        name=NAME,
        passed=passed,
        message=_message(len(rows), difference, limit, size, worst),
        remedy="report it with this file: the loss must be divided by the learnt tokens of the whole step; until then "
        "set finetune.gradient_accumulation_steps: 1",
        code=ErrorCode.BACKWARD_FAILED,
        numbers={
            "learnt_tokens_per_row": [learnt(row) for row in rows],
            "relative_difference": finite(difference),
            "allowed": limit,
            "gradient_norm": finite(size),
            "loss_together": finite(loss_together),
            "loss_apart": finite(loss_apart),
            "furthest_apart": worst,
        },
    )


def _message(rows: int, difference: float, limit: float, size: float, worst: str) -> str:
    if not 0 < size < float("inf"):
        return f"the gradient of {rows} rows has the norm {size:.3g}: nothing can be learnt from it"
    which = f", most in {worst}" if difference > limit else ""
    return (
        f"the gradients of one batch of {rows} rows and of {rows} micro-batches of one row differ by "
        f"{difference:.2g} of their size{which} ({limit:.2g} allowed)"
    )
