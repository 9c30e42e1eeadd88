"""Which proofs run before a training and in which order; a proof is added here."""

from __future__ import annotations

from loquela.finetuning.proofs.accumulation import NAME as ACCUMULATION
from loquela.finetuning.proofs.accumulation import prove_accumulation
from loquela.finetuning.proofs.adapter_on import NAME as ADAPTER_ON
from loquela.finetuning.proofs.adapter_on import prove_adapter_on
from loquela.finetuning.proofs.canary import NAME as CANARY
from loquela.finetuning.proofs.canary import prove_canary
from loquela.finetuning.proofs.collated_labels import NAME as COLLATED_LABELS
from loquela.finetuning.proofs.collated_labels import prove_collated_labels
from loquela.finetuning.proofs.finite_weights import NAME as FINITE
from loquela.finetuning.proofs.finite_weights import prove_finite
from loquela.finetuning.proofs.isolation import NAME as ISOLATION
from loquela.finetuning.proofs.isolation import prove_isolation
from loquela.finetuning.proofs.loss_as_defined import NAME as LOSS
from loquela.finetuning.proofs.loss_as_defined import prove_loss
from loquela.finetuning.proofs.only_adapter import NAME as ONLY_ADAPTER
from loquela.finetuning.proofs.only_adapter import prove_only_adapter
from loquela.finetuning.proofs.preference import CANARY_NAME as COMPARED
from loquela.finetuning.proofs.preference import REFERENCE_NAME as PREFERENCE
from loquela.finetuning.proofs.preference import prove_preference_canary, prove_preference_loss
from loquela.finetuning.proofs.rehearsal import NAME as REHEARSAL
from loquela.finetuning.proofs.rehearsal import prove_rehearsal
from loquela.finetuning.proofs.runner import Entry
from loquela.finetuning.proofs.settings import NAME as SETTINGS
from loquela.finetuning.proofs.settings import prove_settings
from loquela.finetuning.proofs.vocabulary import NAME as VOCABULARY
from loquela.finetuning.proofs.vocabulary import prove_vocabulary
from loquela.recipe.finetune_section import FinetuneSection


def before_training(settings: FinetuneSection) -> list[Entry]:
    """The proofs of one recipe, in order."""
    entries = on_resume(settings)
    if settings.proofs.canary_rows:
        answers = Entry(CANARY, prove_canary, dear=True)
        entries.append(answers if settings.task == "sft" else Entry(COMPARED, prove_preference_canary, dear=True))
    if settings.proofs.rehearsal:
        entries.append(Entry(REHEARSAL, prove_rehearsal, dear=True))
    return entries


def on_resume(settings: FinetuneSection) -> list[Entry]:
    """Those that take no training of their own beyond a step."""
    of_task = [Entry(LOSS, prove_loss, dear=True), Entry(ACCUMULATION, prove_accumulation, dear=True)]
    if settings.task != "sft":
        of_task[0] = Entry(PREFERENCE, prove_preference_loss, dear=True)
    if settings.task == "kto" and settings.preference_loss == "kto":
        # Its term of mismatched answers is a mean over the micro-batch: by definition not the same in any cut.
        of_task = of_task[:1]
    return [
        Entry(ONLY_ADAPTER, prove_only_adapter),
        Entry(FINITE, prove_finite),
        Entry(VOCABULARY, prove_vocabulary),
        Entry(COLLATED_LABELS, prove_collated_labels),
        Entry(SETTINGS, prove_settings),
        Entry(ISOLATION, prove_isolation, dear=True),
        *of_task,
        Entry(ADAPTER_ON, prove_adapter_on, dear=True),
    ]
