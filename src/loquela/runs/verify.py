"""Is a run on disk what it says it is? Every digest, the ledger, the status and the weights are looked at again."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file

from loquela.artifacts.manifest import MANIFEST_NAME, verify
from loquela.artifacts.proof import Proof
from loquela.core.errors import ErrorCode, LoquelaError
from loquela.core.model import BoundaryModel
from loquela.runs.manifest import load_run_manifest
from loquela.runs.status import load_status

FOLDERS = ("tokenizer", "best", "final", "eval")


class VerifyReport(BoundaryModel):
    """All proofs of one run; `passed` when each holds."""

    run_id: str
    passed: bool
    proofs: list[Proof]


def verify_run(run_directory: Path) -> VerifyReport:
    """Look at everything a run consists of; never changes it."""
    proofs = [_readable(run_directory, "status"), _readable(run_directory, "manifest")]
    folders = [run_directory / name for name in FOLDERS if (run_directory / name).is_dir()]
    checkpoints = run_directory / "checkpoints"
    if checkpoints.is_dir():
        folders.extend(sorted(entry for entry in checkpoints.iterdir() if entry.name.isdigit()))
    proofs.extend(_whole(folder, run_directory) for folder in folders if (folder / MANIFEST_NAME).is_file())
    proofs.extend(
        _finite(folder / "model.safetensors", run_directory)
        for folder in folders
        if (folder / "model.safetensors").is_file()
    )
    proofs.extend(_artifacts(run_directory))
    return VerifyReport(run_id=run_directory.name, passed=all(proof.passed for proof in proofs), proofs=proofs)


def _readable(run_directory: Path, what: str) -> Proof:
    try:
        load_status(run_directory) if what == "status" else load_run_manifest(run_directory)
    except LoquelaError as error:
        return Proof(name=f"{what} readable", passed=False, message=error.message, remedy=error.remedy, code=error.code)
    return Proof(name=f"{what} readable", passed=True, message=f"{what}.json is whole")


def _whole(folder: Path, run_directory: Path) -> Proof:
    name = folder.relative_to(run_directory).as_posix()
    try:
        manifest = verify(folder)
    except LoquelaError as error:
        return Proof(name=f"{name} whole", passed=False, message=error.message, remedy=error.remedy, code=error.code)
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


def _artifacts(run_directory: Path) -> list[Proof]:
    """The corpus and shards that the run was made from: still there, still the same?"""
    try:
        manifest = load_run_manifest(run_directory)
    except LoquelaError:
        return []
    proofs = []
    for stage in ("ingest", "prepare"):
        record = manifest.stages.get(stage)
        if record is None:
            continue
        folder = Path(record.directory)
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
    ledger = run_directory / "ledger.json"
    if ledger.is_file():
        stages = sorted(json.loads(ledger.read_text(encoding="utf-8")))
        proofs.append(Proof(name="ledger", passed=bool(stages), message="ledger of " + ", ".join(stages)))
    return proofs
