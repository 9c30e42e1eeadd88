"""Which proofs of the rows run before a model is loaded; a proof is added here."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from loquela.artifacts.base import Base
from loquela.artifacts.proof import Proof
from loquela.finetuning.proofs.accounted import NAME as ACCOUNTED
from loquela.finetuning.proofs.accounted import prove_accounted
from loquela.finetuning.proofs.labels import NAME as LABELS
from loquela.finetuning.proofs.labels import prove_labels
from loquela.finetuning.proofs.overlong import NAME as OVERLONG
from loquela.finetuning.proofs.overlong import prove_overlong
from loquela.finetuning.proofs.renderings import Renderings, open_reference
from loquela.finetuning.proofs.round_trip import NAME as ROUND_TRIP
from loquela.finetuning.proofs.round_trip import prove_round_trip
from loquela.finetuning.proofs.rows_subject import RowsSubject
from loquela.finetuning.proofs.runner import run_proof, stop_if_failed
from loquela.finetuning.proofs.stop_tokens import NAME as STOP_TOKEN
from loquela.finetuning.proofs.stop_tokens import prove_stop_token
from loquela.finetuning.proofs.template_parity import NAME as TEMPLATE_PARITY
from loquela.finetuning.proofs.template_parity import prove_template_parity
from loquela.monitoring.events import Bus

Check = Callable[[], Proof]


def prove_rows(examples: Path, base: Base, directory: Path, bus: Bus) -> list[Proof]:
    """Prove the rows of an examples folder for `base`; each proof is published and lands in `preflight.json`.

    Raises ProofError with all that failed, DataError(CORRUPTION) for a folder whose parts do not belong together,
    ResourceError(MISSING_EXTRA) without transformers.
    """
    subject = RowsSubject(examples, base)
    reference = open_reference(base.folder)
    with Renderings(subject.template, subject.tokenizer, reference) as renderings:
        checks: dict[str, Check] = {
            ACCOUNTED: lambda: prove_accounted(subject),
            LABELS: lambda: prove_labels(subject),
            OVERLONG: lambda: prove_overlong(subject),
            ROUND_TRIP: lambda: prove_round_trip(subject, renderings, reference),
            STOP_TOKEN: lambda: prove_stop_token(subject, renderings),
            TEMPLATE_PARITY: lambda: prove_template_parity(subject, renderings),
        }
        proofs = [run_proof(name, check, directory, bus, "before") for name, check in checks.items()]
    stop_if_failed(proofs, "before")
    return proofs
