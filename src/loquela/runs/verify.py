"""Is a run on disk what it says it is? Every digest, the ledger, the status and the weights are looked at again."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from pydantic import JsonValue
from safetensors.numpy import load_file

from loquela.artifacts.bundle import is_bundle
from loquela.artifacts.checkpoints import list_checkpoints
from loquela.artifacts.manifest import verify
from loquela.artifacts.proof import Proof
from loquela.core.errors import ErrorCode, LoquelaError
from loquela.core.model import BoundaryModel
from loquela.runs.folder import LEDGER_NAME, read_ledger
from loquela.runs.lock import is_locked
from loquela.runs.manifest import TrainingRunManifest, load_run_manifest
from loquela.runs.seal import REMEDY as SEAL_REMEDY
from loquela.runs.seal import SEAL_NAME, prove_seal
from loquela.runs.status import Phase, load_status
from loquela.stages import stage_named

FOLDERS = ("tokenizer", "best", "final", "adapter", "eval", "merged", "final_artifact", "deploy")
# One that is under way, or that failed its gate, has no manifest yet.
GATES = ("eval", "deploy")
EXPORTS = "exports"
WEIGHTS = ("model.safetensors", "adapter_model.safetensors")
MADE_IN = {
    "tokenizer": "tokenizer",
    "train": "final",
    "finetune": "adapter",
    "evaluate": "eval",
    "compare": "eval",
    "merge": "merged",
    "package": "final_artifact",
    "deploy_check": "deploy",
}
TAKEN = ("ingest", "prepare", "base", "examples")


class VerifyReport(BoundaryModel):
    """All proofs of one run; `passed` when each holds."""

    run_id: str
    passed: bool
    proofs: list[Proof]


def verify_run(run_directory: Path) -> VerifyReport:
    """Look at everything a run consists of; never changes it."""
    proofs = [_readable(run_directory, "status"), _readable(run_directory, "manifest")]
    manifest = _manifest(run_directory)
    recorded = _recorded(manifest)
    folders = [run_directory / name for name in FOLDERS if (run_directory / name).is_dir() or name in recorded]
    folders = [folder for folder in folders if folder.name not in GATES or folder.name in recorded]
    folders.extend(reversed(list_checkpoints(run_directory)))
    folders.extend(path for path in sorted((run_directory / EXPORTS).glob("*")) if is_bundle(path))
    proofs.extend(_whole(folder, run_directory, recorded.get(folder.name)) for folder in folders)
    weights = [folder / name for folder in folders for name in WEIGHTS]
    proofs.extend(_finite(path, run_directory) for path in weights if path.is_file())
    proofs.extend(_artifacts(run_directory, manifest))
    if (run_directory / LEDGER_NAME).is_file():
        proofs.append(_ledger(run_directory))
    proofs.extend(_sealed(run_directory))
    return VerifyReport(run_id=run_directory.name, passed=all(proof.passed for proof in proofs), proofs=proofs)


def _manifest(run_directory: Path) -> TrainingRunManifest | None:
    try:
        return load_run_manifest(run_directory)
    except LoquelaError:
        return None


def _recorded(manifest: TrainingRunManifest | None) -> dict[str, str]:
    """Folder inside the run → digest of what its stage made there."""
    if manifest is None:
        return {}
    return {MADE_IN[name]: record.digest for name, record in manifest.stages.items() if name in MADE_IN}


def _sealed(run_directory: Path) -> list[Proof]:
    """The records beside the weights, as they were when the run ended; a complete run must have its seal."""
    proofs = prove_seal(run_directory)
    if not proofs and not is_locked(run_directory) and _complete(run_directory):
        said = f"{SEAL_NAME} is missing, though the run is complete"
        proofs = [Proof(name="seal", passed=False, message=said, remedy=SEAL_REMEDY, code=ErrorCode.CORRUPTION)]
    return proofs


def _complete(run_directory: Path) -> bool:
    try:
        return load_status(run_directory).current_phase is Phase.COMPLETE
    except LoquelaError:
        return False


def _readable(run_directory: Path, what: str) -> Proof:
    try:
        load_status(run_directory) if what == "status" else load_run_manifest(run_directory)
    except LoquelaError as error:
        return Proof(name=f"{what} readable", passed=False, message=error.message, remedy=error.remedy, code=error.code)
    return Proof(name=f"{what} readable", passed=True, message=f"{what}.json is whole")


def _whole(folder: Path, run_directory: Path, recorded: str | None) -> Proof:
    name = folder.relative_to(run_directory).as_posix()
    try:
        manifest = verify(folder)
    except LoquelaError as error:
        return Proof(name=f"{name} whole", passed=False, message=error.message, remedy=error.remedy, code=error.code)
    if recorded is not None and manifest.digest != recorded:
        said = f"{folder} is {manifest.digest[:12]}, the run's manifest says {recorded[:12]}"
        return Proof(name=f"{name} whole", passed=False, message=said, remedy=SEAL_REMEDY, code=ErrorCode.CORRUPTION)
    size = sum(record.size_bytes for record in manifest.files)
    return Proof(
        name=f"{name} whole",
        passed=True,
        message=f"{len(manifest.files)} files, {size / 1e6:.1f} MB, every SHA-256 as written",
        numbers={"files": len(manifest.files), "bytes": size},
    )


def _finite(path: Path, run_directory: Path) -> Proof:
    name = f"{path.relative_to(run_directory).as_posix()} finite"
    try:
        tensors = load_file(path)
    except Exception as error:  # safetensors raises its own untyped error class for any damage
        return Proof(
            name=name,
            passed=False,
            message=f"{path} cannot be read as safetensors: {error}",
            remedy="resume from an older checkpoint: --resume " + run_directory.name,
            code=ErrorCode.CORRUPTION,
        )
    broken = sorted(key for key, tensor in tensors.items() if not np.isfinite(tensor).all())
    count = sum(tensor.size for tensor in tensors.values())
    return Proof(
        name=name,
        passed=not broken,
        message=f"{count:,} weights, all finite" if not broken else f"not finite: {', '.join(broken)}",
        remedy="" if not broken else "resume from an older checkpoint",
        code=ErrorCode.NAN_DETECTED,
        numbers={"weights": count},
    )


def _artifacts(run_directory: Path, manifest: TrainingRunManifest | None) -> list[Proof]:
    """What the run was made from: still there, still the same?"""
    proofs: list[Proof] = []
    for stage in TAKEN:
        record = manifest.stages.get(stage) if manifest is not None else None
        if record is None:
            continue
        # Beside the run, wherever both were moved to and whatever the working directory is now.
        beside = run_directory.absolute().parents[1] / "artifacts" / stage_named(stage).makes / record.key
        folder = beside if beside.is_dir() else Path(record.directory)
        try:
            found = verify(folder).digest
        except LoquelaError as error:
            proofs.append(Proof(name=f"{stage} kept", passed=False, message=error.message, remedy=error.remedy))
            continue
        proofs.append(
            Proof(
                name=f"{stage} kept",
                passed=found == record.digest,
                message=f"{folder.parent.name} {found[:12]} "
                + ("as recorded" if found == record.digest else "differs"),
                remedy="" if found == record.digest else "run the recipe again to make it anew",
            )
        )
    return proofs


def _ledger(run_directory: Path) -> Proof:
    """Does every arrow of the ledger add up again?"""
    ledger = read_ledger(run_directory)
    broken = [
        f"{stage} {arrow.get('arrow')}: {unit}"
        for stage, counts in ledger.items()
        for arrow in _arrows(counts)
        for unit in ("bytes", "items")
        if not _adds_up(arrow, unit)
    ]
    said = "ledger of " + ", ".join(sorted(ledger)) if ledger else "ledger.json cannot be read"
    return Proof(
        name="ledger",
        passed=bool(ledger) and not broken,
        message=f"does not add up: {', '.join(broken)}" if broken else said,
        remedy="" if ledger and not broken else "run the recipe again with --resume auto: it is written anew",
        code=ErrorCode.CORRUPTION,
    )


def _arrows(counts: JsonValue) -> list[dict[str, JsonValue]]:
    arrows = counts.get("arrows") if isinstance(counts, dict) else None
    return [arrow for arrow in arrows if isinstance(arrow, dict)] if isinstance(arrows, list) else []


def _adds_up(arrow: dict[str, JsonValue], unit: str) -> bool:
    before, after, changes = arrow.get(f"{unit}_in", 0), arrow.get(f"{unit}_out", 0), arrow.get("changes")
    deltas = (
        [change.get(unit, 0) for change in changes if isinstance(change, dict)] if isinstance(changes, list) else []
    )
    numbers = [number for number in (before, *deltas) if isinstance(number, int)]
    return len(numbers) == 1 + len(deltas) and sum(numbers) == after
