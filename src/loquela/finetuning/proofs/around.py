"""The proofs before and after one training, for the stage that trains: the base hashed, what learns remembered."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from loquela.artifacts.proof import Proof
from loquela.core.errors import DataError, ErrorCode
from loquela.finetuning.proofs.after import prove_adapter_moved, prove_base_unchanged, prove_reload
from loquela.finetuning.proofs.borrowed import trained_copy
from loquela.finetuning.proofs.runner import Entry, run_proofs
from loquela.finetuning.proofs.subject import Subject
from loquela.finetuning.proofs.table import before_training, on_resume
from loquela.finetuning.verification import BASELINE_NAME, save_base_model_checksums, verify_base_weights_unchanged
from loquela.monitoring.events import Bus


class ProofsAround:
    """Made when nothing has been trained or loaded from a checkpoint yet: then what learns is as it began."""

    def __init__(self, subject: Subject, bus: Bus) -> None:
        self.subject = subject
        self.bus = bus
        self.first = trained_copy(subject.model)

    def before(self, *, resumed: bool) -> list[Proof]:
        """Hash the base into `baseline_checksums.json` and run the proofs; ProofError for one that fails.

        Under `resumed` the base is compared with that file instead: DataError(DATA_CHANGED) when it is another now;
        and the proofs that train are not run again.
        """
        subject = self.subject
        settings = subject.settings
        if settings.method != "full":
            if resumed and (subject.directory / BASELINE_NAME).is_file():
                self._check_base()
            else:
                save_base_model_checksums(subject.model, subject.directory, writes=subject.writes)
        entries = on_resume(settings) if resumed else before_training(settings)
        return run_proofs(subject, entries, self.bus, "before")

    def after(self, folder: Path, load: Callable[[Path], None]) -> list[Proof]:
        """What must hold for `folder`, the finished adapter (or model), which `load` reads into the live one."""
        entries = [Entry("adapter_moved", prove_adapter_moved(self.first))]
        if self.subject.settings.method != "full":
            entries.append(Entry("base_unchanged", prove_base_unchanged))
        entries.append(Entry("adapter_reloads", prove_reload(load, folder), dear=True))
        return run_proofs(self.subject, entries, self.bus, "after")

    def _check_base(self) -> None:
        difference = verify_base_weights_unchanged(self.subject.model, self.subject.directory)
        wrong = [*difference.changed, *difference.missing, *difference.added]
        if wrong:
            raise DataError(
                ErrorCode.DATA_CHANGED,
                f"the base is not the one that this run was begun on: {len(wrong)} tensors differ, {wrong[0]} first",
                "put the base back as it was, or start a new run with --resume never",
                details={"changed": list(wrong[:100])},
            )
