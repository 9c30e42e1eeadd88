"""Runs proofs in order, tells how each went, writes them down, and stops the run at what does not hold."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import JsonValue

from loquela.artifacts.manifest import corrupt
from loquela.artifacts.proof import Proof
from loquela.core.atomic import write_json
from loquela.core.errors import ProofError
from loquela.finetuning.proofs.subject import Subject
from loquela.monitoring.events import Bus

PREFLIGHT_NAME = "preflight.json"

Prove = Callable[[Subject], Proof]


@dataclass(frozen=True)
class Entry:
    """One proof: its name, and whether it takes training steps or generates, so that the others go first."""

    name: str
    prove: Prove
    dear: bool = False


def run_proofs(subject: Subject, entries: Sequence[Entry], bus: Bus, when: str) -> list[Proof]:
    """All cheap proofs, then the dear ones one by one; each is published and written to `preflight.json` at once.

    ProofError with every proof that failed: of the cheap ones all, of the dear ones the first. `when` is before or
    after. What a proof itself raises (ResourceError: OOM, DISK_FULL) goes through, and
    Interrupted where the run is asked to stop.
    """
    cheap = [_run(subject, entry, bus, when) for entry in entries if not entry.dear]
    stop_if_failed(cheap, when)
    dear: list[Proof] = []
    for entry in entries:
        if entry.dear:
            dear.append(_run(subject, entry, bus, when))
            stop_if_failed(dear, when)
    return cheap + dear


def read_preflight(directory: Path) -> list[Proof]:
    """The proofs of a run so far, none before the first; DataError(CORRUPTION) for a file without a list of them."""
    path = directory / PREFLIGHT_NAME
    if not path.is_file():
        return []
    try:
        return [Proof.model_validate(entry) for entry in json.loads(path.read_bytes())]
    except (ValueError, TypeError) as error:
        raise corrupt(directory, f"{PREFLIGHT_NAME} cannot be read as a list of proofs") from error


def record_proof(directory: Path, proof: Proof) -> None:
    """Add a proof to `preflight.json`; one of the same name takes the place of the one before."""
    kept = [each for each in read_preflight(directory) if each.name != proof.name]
    write_json(directory / PREFLIGHT_NAME, [each.model_dump(mode="json") for each in [*kept, proof]])


def _run(subject: Subject, entry: Entry, bus: Bus, when: str) -> Proof:
    subject.check_stop()
    directory = subject.directory if subject.writes else None
    return run_proof(entry.name, lambda: entry.prove(subject), directory, bus, when)


def run_proof(name: str, prove: Callable[[], Proof], directory: Path | None, bus: Bus, when: str) -> Proof:
    """Run one proof, publish how it went, and write it to `preflight.json` in `directory`, where there is one."""
    bus.publish("finetune.proof.started.v1", {"name": name, "when": when})
    started = time.perf_counter()
    proof = prove()
    seconds = round(time.perf_counter() - started, 3)
    proof = proof.model_copy(update={"numbers": {**proof.numbers, "seconds": seconds, "when": when}})
    if directory is not None:
        record_proof(directory, proof)
    bus.publish(
        "finetune.proof.finished.v1",
        {
            "name": proof.name,
            "when": when,
            "passed": proof.passed,
            "message": proof.message,
            "seconds": seconds,
        },
    )
    return proof


def stop_if_failed(proofs: Sequence[Proof], when: str) -> None:
    """ProofError with every proof that failed."""
    failed = [proof for proof in proofs if not proof.passed]
    if not failed:
        return
    details: dict[str, JsonValue] = {"when": when, "failed": [proof.model_dump(mode="json") for proof in failed]}
    begins = "the training was not begun" if when == "before" else "the adapter is not handed on"
    raise ProofError(
        failed[0].code,
        f"{begins}: " + "; ".join(f"{proof.name}: {proof.message}" for proof in failed),
        "; ".join(dict.fromkeys(proof.remedy for proof in failed if proof.remedy)),
        details=details,
    )
