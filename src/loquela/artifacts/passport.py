"""Is a published artifact still what it was, and is what it was made from still that? Offline, without a tensor.

An adapter, a merged model or a final artifact is looked at file by file; its base and its parents where they lie:
beside it in its run, or among the artifacts of its output directory. What is not there is said to be not compared.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from pydantic import Field, ValidationError

from loquela.artifacts.adapter import CONFIG_NAME as ADAPTER_CONFIG_NAME
from loquela.artifacts.base import BASE_NAME, BaseIdentity, base_location, read_base, verify_base
from loquela.artifacts.base import KIND as BASE_KIND
from loquela.artifacts.checksums import CHECKSUMS_NAME, against_manifest, verify_artifact_integrity
from loquela.artifacts.finite import check_finite
from loquela.artifacts.manifest import MANIFEST_NAME, Manifest, read_manifest, verify
from loquela.artifacts.proof import Proof
from loquela.core.errors import DataError, ErrorCode, LoquelaError
from loquela.core.model import BoundaryModel

# What a merged model's manifest calls the identity of the base that it was made from.
BASE_FACT = "base_identity"
# Only a run has one.
STATUS_NAME = "status.json"
# Where a run keeps what its stages made in it, by kind.
BESIDE = {"adapter": "adapter", "merged": "merged", "comparison": "eval"}
REMEDY = "restore it from a copy, or make it again with loquela run RECIPE --resume auto"


class ArtifactReport(BoundaryModel):
    """All proofs of one artifact; `passed` when each holds."""

    path: Path
    kind: str
    digest: str = Field(description="of its content, as its manifest says")
    passed: bool
    proofs: list[Proof]


def is_artifact(directory: Path) -> bool:
    """Whether `directory` is an artifact, whole or damaged, and not a run, whose manifest is of another kind."""
    signs = (MANIFEST_NAME, CHECKSUMS_NAME, ADAPTER_CONFIG_NAME, BASE_NAME)
    return any((directory / name).is_file() for name in signs) and not (directory / STATUS_NAME).is_file()


def verify_artifact(directory: Path) -> ArtifactReport:
    """Look at everything that the artifact in `directory` consists of and comes from; never changes it."""
    try:
        manifest = read_manifest(directory)
    except DataError as error:
        proofs = [_proof("manifest", False, error.message)]
        return ArtifactReport(path=directory, kind="unknown", digest="", passed=False, proofs=proofs)
    proofs = [_manifest_proof(manifest), *_file_proofs(directory, manifest)]
    base = base_proof(directory)
    if base is not None:
        proofs.append(base)
    proofs.extend(_parent_proof(directory, role, digest) for role, digest in manifest.parents.items())
    return ArtifactReport(
        path=directory,
        kind=manifest.kind,
        digest=manifest.digest,
        passed=all(proof.passed for proof in proofs),
        proofs=proofs,
    )


def _file_proofs(directory: Path, manifest: Manifest) -> Iterator[Proof]:
    """Every file against the manifest, against checksums.json, and every weight finite."""
    integrity = against_manifest(directory, manifest.files)
    size = sum(record.size_bytes for record in manifest.files)
    said = f"{len(manifest.files)} files, {size / 1e6:.1f} MB, every SHA-256 as written" if integrity.whole else ""
    yield _proof("files", integrity.whole, said or f"not as written; {integrity}")
    if (directory / CHECKSUMS_NAME).is_file():
        yield _checksums_proof(directory)
    for path in sorted(directory.glob("*.safetensors")):
        yield finite_proof(path, path.name)


def base_proof(directory: Path) -> Proof | None:
    """The files of the base that the artifact in `directory` speaks of; None where it speaks of none."""
    try:
        identity = _base_of(directory)
        if identity is None:
            return None
        folder = _base_folder(directory, identity)
        if folder is None:
            return _proof("base", True, f"{identity.source} ({identity.digest[:12]}) is not here: not compared")
        verify_base(folder, identity)
    except LoquelaError as error:
        return _proof("base", False, error.message)
    except ValidationError:
        return _proof("base", False, f"{MANIFEST_NAME} does not name a base that can be read")
    return _proof("base", True, f"{identity.source} in {folder}: {len(identity.files)} files as they were")


def finite_proof(path: Path, name: str) -> Proof:
    """Whether every number of a safetensors file is finite."""
    try:
        check = check_finite(path)
    except (OSError, ValueError) as error:
        return _proof(f"{name} finite", False, f"{path} cannot be read as safetensors: {error}")
    proof = _proof(
        f"{name} finite",
        not check.broken,
        f"not finite: {', '.join(check.broken)}" if check.broken else f"{check.weights:,} weights, all finite",
    )
    return proof.model_copy(update={"code": ErrorCode.NAN_DETECTED, "numbers": {"weights": check.weights}})


def _manifest_proof(manifest: Manifest) -> Proof:
    whole = manifest.digest == manifest.content_digest() and manifest.record_digest == manifest.own_digest()
    said = "its own digests hold" if whole else f"{MANIFEST_NAME} is not as it was written, its own digest says"
    return _proof("manifest", whole, said)


def _checksums_proof(directory: Path) -> Proof:
    try:
        integrity = verify_artifact_integrity(directory)
    except DataError as error:
        return _proof("checksums", False, error.message)
    return _proof("checksums", integrity.whole, f"{CHECKSUMS_NAME}: {integrity}")


def _base_of(directory: Path) -> BaseIdentity | None:
    if (directory / BASE_NAME).is_file():
        return read_base(directory)
    recorded = read_manifest(directory).facts.get(BASE_FACT)
    return None if recorded is None else BaseIdentity.model_validate(recorded)


def _base_folder(directory: Path, identity: BaseIdentity) -> Path | None:
    """Where the base lay when this was made, else where a base of its output directory lies."""
    places = [base_location(directory, identity)]
    for folder in _kept_of(directory, BASE_KIND):
        try:
            found = read_base(folder)
        except DataError:  # that it is damaged is said where it is looked at as a parent
            continue
        if found.digest == identity.digest:
            places.append(base_location(folder, found))
    return next((place for place in places if place.is_dir()), None)


def _parent_proof(directory: Path, role: str, digest: str) -> Proof:
    name = f"made from {role}"
    beside = directory.absolute().parent / BESIDE.get(role, role)
    try:
        if role in BESIDE and beside.is_dir() and beside != directory.absolute():
            found = read_manifest(beside).digest
            if found != digest:
                return _proof(name, False, f"{beside} is {found[:12]}, and this was made from {digest[:12]}")
            place: Path | None = beside
        else:
            place = _kept(directory, role, digest)
        if place is None:
            return _proof(name, True, f"{digest[:12]} is not here: not compared")
        verify(place)
    except LoquelaError as error:
        return _proof(name, False, error.message)
    return _proof(name, True, f"{digest[:12]} in {place}: every SHA-256 as written")


def _kept(directory: Path, role: str, digest: str) -> Path | None:
    """The artifact of this digest below the output directory whose run `directory` lies in."""
    for folder in _kept_of(directory, role):
        try:
            if read_manifest(folder).digest == digest:
                return folder
        except DataError:  # not an artifact
            continue
    return None


def _kept_of(directory: Path, kind: str) -> list[Path]:
    """All artifacts of a kind below the output directory whose run `directory` lies in."""
    return [
        folder for root in directory.absolute().parents[2:3] for folder in sorted((root / "artifacts" / kind).glob("*"))
    ]


def _proof(name: str, passed: bool, message: str) -> Proof:
    remedy = "" if passed else REMEDY
    return Proof(name=name, passed=passed, message=message, remedy=remedy, code=ErrorCode.CORRUPTION)
