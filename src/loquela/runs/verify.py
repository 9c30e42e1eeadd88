"""Is a run on disk what it says it is? Every digest, the ledger, the status and the weights are looked at again."""

from __future__ import annotations

from pathlib import Path

from pydantic import JsonValue

from loquela.artifacts.bundle import is_bundle
from loquela.artifacts.checkpoints import list_checkpoints
from loquela.artifacts.manifest import read_manifest, verify
from loquela.artifacts.passport import base_proof, finite_proof
from loquela.artifacts.proof import Proof
from loquela.artifacts.store.contract import prove
from loquela.artifacts.store.opening import open_place
from loquela.core.errors import ErrorCode, LoquelaError
from loquela.core.model import BoundaryModel
from loquela.runs.folder import LEDGER_NAME, read_ledger
from loquela.runs.lock import is_locked
from loquela.runs.manifest import TrainingRunManifest, load_run_manifest
from loquela.runs.seal import REMEDY as SEAL_REMEDY
from loquela.runs.seal import SEAL_NAME, prove_seal
from loquela.runs.status import Phase, load_status
from loquela.runs.stored.pointer import read_pointer
from loquela.stages import stage_named

FOLDERS = ("tokenizer", "best", "final", "adapter", "eval", "merged", "final_artifact", "deploy")
# One that is under way, or that failed its gate, has no manifest yet.
GATES = ("eval", "deploy")
EXPORTS = "exports"
# Of these it is asked as well whether they were made from one another, and from the base that is there.
TUNED = ("adapter", "merged", "final_artifact")
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
    stored = _stored(run_directory)
    proofs.extend(stored)
    folders = [run_directory / name for name in FOLDERS if (run_directory / name).is_dir() or name in recorded]
    if stored:
        folders = [folder for folder in folders if folder.is_dir()]
    folders = [folder for folder in folders if folder.name not in GATES or folder.name in recorded]
    folders.extend(reversed(list_checkpoints(run_directory)))
    folders.extend(path for path in sorted((run_directory / EXPORTS).glob("*")) if is_bundle(path))
    proofs.extend(_whole(folder, run_directory, recorded.get(folder.name)) for folder in folders)
    weights = [path for folder in folders for path in sorted(folder.glob("*model*.safetensors"))]
    proofs.extend(finite_proof(path, path.relative_to(run_directory).as_posix()) for path in weights)
    proofs.extend(_origins(run_directory, manifest))
    proofs.extend(_artifacts(run_directory, manifest))
    if (run_directory / LEDGER_NAME).is_file():
        proofs.append(_ledger(run_directory))
    proofs.extend(_sealed(run_directory))
    return VerifyReport(run_id=run_directory.name, passed=all(proof.passed for proof in proofs), proofs=proofs)


def _stored(run_directory: Path) -> list[Proof]:
    """Of a run whose heavy folders are in a store of artifacts only: its tarball, read back whole."""
    name = "stored"
    try:
        pointer = read_pointer(run_directory)
        if pointer is None or not pointer.cleaned:
            return []
        store = open_place(pointer.store, run_directory.absolute().parents[1])
        prove(store, pointer.file_id, pointer.size_bytes)
    except LoquelaError as error:
        return [Proof(name=name, passed=False, message=error.message, remedy=error.remedy, code=error.code)]
    said = f"weights and checkpoints are in {store.address}: {pointer.size_bytes / 1e6:.1f} MB, the SHA-256 as written"
    return [Proof(name=name, passed=True, message=said)]


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


def _origins(run_directory: Path, manifest: TrainingRunManifest | None) -> list[Proof]:
    """Were adapter, merged model and package made from one another and from what the run used; is the base whole?"""
    stages = manifest.stages if manifest is not None else {}
    made = {stage_named(name).makes: record.digest for name, record in stages.items()}
    proofs = []
    for name in TUNED:
        try:
            parents = read_manifest(run_directory / name).parents
        except LoquelaError:
            continue  # that it is missing or damaged is said where its files are looked at
        others = [role for role, digest in parents.items() if made.get(role, digest) != digest]
        said = f"made from another {', '.join(others)} than the run's" if others else f"from {', '.join(parents)}"
        proof = Proof(name=f"{name} made from", passed=not others, message=said, code=ErrorCode.CORRUPTION)
        proofs.append(proof.model_copy(update={"remedy": SEAL_REMEDY if others else ""}))
    base = base_proof(run_directory / "adapter") if (run_directory / "adapter").is_dir() else None
    return proofs if base is None else [*proofs, base]


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
