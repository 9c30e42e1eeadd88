"""Every token of the rows has an embedding and a row of the output matrix; nothing is resized to make it so."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from torch import Tensor, nn

from loquela.artifacts.proof import Proof
from loquela.core.errors import ErrorCode, InternalError
from loquela.finetuning.proofs.subject import Subject

NAME = "vocabulary"


@runtime_checkable
class _Embedded(Protocol):
    def get_input_embeddings(self) -> nn.Module: ...

    def get_output_embeddings(self) -> nn.Module: ...


def prove_vocabulary(subject: Subject) -> Proof:
    """The largest token of rows and stop tokens against the rows of both matrices."""
    inputs, outputs = _matrix_rows(subject.model)
    largest = max((int(row.ids.max()) for row in subject.training_rows), default=-1)
    held_out = max((int(row.ids.max()) for row in subject.evaluation_rows), default=-1)
    stop = max(subject.stop_ids, default=-1)
    most = max(largest, held_out, stop)
    passed = most < min(inputs, outputs)
    return Proof(
        name=NAME,
        passed=passed,
        message=f"the largest token of rows and stop tokens is {most}; the embeddings have {inputs} rows, the head "
        f"{outputs}",
        remedy="make the examples with the base's own tokenizer (examples.template: auto); none is added silently",
        code=ErrorCode.SHAPE_MISMATCH,
        numbers={
            "largest_training_token": largest,
            "largest_held_out_token": held_out,
            "largest_stop_token": stop,
            "embedding_rows": inputs,
            "head_rows": outputs,
        },
    )


def _matrix_rows(model: nn.Module) -> tuple[int, int]:
    if not isinstance(model, _Embedded):
        raise InternalError(
            ErrorCode.INVALID_STATE,
            f"{type(model).__name__} does not say which of its matrices are its embeddings",
            "report it with the base's config.json",
        )
    return _rows(model.get_input_embeddings()), _rows(model.get_output_embeddings())


def _rows(layer: nn.Module) -> int:
    """Rows that the layer says it has: a quantised weight's own shape is that of its packed bytes."""
    for name in ("num_embeddings", "out_features"):
        count = getattr(layer, name, None)
        if isinstance(count, int):
            return count
    weight = getattr(layer, "weight", None)
    return int(weight.shape[0]) if isinstance(weight, Tensor) else 0
