"""What is set to learn: the adapter and nothing of the base, or all of it under `method: full`."""

from __future__ import annotations

from loquela.artifacts.proof import Proof
from loquela.core.errors import ErrorCode
from loquela.finetuning.proofs.subject import Subject
from loquela.finetuning.verification import get_trainable_parameters_summary, is_adapter_name

NAME = "only_adapter_trainable"
SHOWN = 5


def prove_only_adapter(subject: Subject) -> Proof:
    """The parameters that learn, counted, against what `finetune.method` says."""
    summary = get_trainable_parameters_summary(subject.model)
    full = subject.settings.method == "full"
    if full:
        frozen = [name for name, parameter in subject.model.named_parameters() if not parameter.requires_grad]
        wrong, says = frozen, "do not learn although finetune.method is full"
    else:
        wrong, says = [name for name in summary.names if not is_adapter_name(name)], "of the base learn"
    share = (
        f"{summary.trainable_parameters:,} of {summary.total_parameters:,} parameters learn "
        f"({summary.trainable_percent:.2f} %)"
    )
    passed = not wrong and summary.trainable_parameters > 0
    return Proof(
        name=NAME,
        passed=passed,
        message=share if passed else f"{share}; {len(wrong)} parameters {says}: {', '.join(wrong[:SHOWN])}",
        remedy="check finetune.method and finetune.lora.target_modules; only what they name may learn",
        code=ErrorCode.INVALID_STATE,
        numbers={
            "total_parameters": summary.total_parameters,
            "trainable_parameters": summary.trainable_parameters,
            "trainable_percent": summary.trainable_percent,
            "trained_tensors": len(summary.names),
            "wrong": list(wrong[:100]),
        },
    )
