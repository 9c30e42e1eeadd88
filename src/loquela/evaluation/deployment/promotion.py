"""Which bundle is in use: `checks/promoted.json`, a chain of records each of which proves itself.

A record says which bundle, by digest, passed which check, by digest, and which record it follows. It lies beside the
bundles, in a run beside exports/, so that a promotion changes no artifact.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from pydantic import Field, ValidationError

from loquela.artifacts.bundle import EXPORTS_FOLDER, open_bundle
from loquela.core.atomic import write_error, write_json
from loquela.core.digests import digest_json
from loquela.core.errors import DataError, ErrorCode, ProofError
from loquela.core.model import BoundaryModel
from loquela.core.plain_files import read_plain
from loquela.evaluation.deployment.report import REPORT_NAME, DeployReport, Figure, Machine, read_report
from loquela.recipe.deploy_section import DeployLoad

PROMOTED_NAME = "promoted.json"
LOCK_NAME = "promoted.lock"
CHECKS_FOLDER = "checks"
STAGE_FOLDER = "deploy"


class Promotion(BoundaryModel):
    """One promotion; `bundle` is its folder seen from the one with checks/, `follows` the record before ("": none)."""

    bundle: str
    bundle_digest: str
    report: str
    report_digest: str
    promoted: datetime = Field(default_factory=lambda: datetime.now(UTC))
    machine: Machine
    load: DeployLoad
    rate_per_second: float
    figures: list[Figure]
    follows: str = ""
    record_digest: str = ""

    def own_digest(self) -> str:
        """What `record_digest` must be."""
        return digest_json(self.model_dump(mode="json", exclude={"record_digest"}))


class Promotions(BoundaryModel):
    """`promoted.json`; the last record is in force."""

    format_version: int = 1
    records: list[Promotion] = Field(default_factory=list)


def home_of(bundle: Path) -> Path:
    """The folder with the checks of a bundle: the run that it was exported in, else the folder that it is in."""
    folder = bundle.absolute().parent
    return folder.parent if folder.name == EXPORTS_FOLDER else folder


def check_folder(bundle: Path) -> Path:
    """Where the reports of a bundle's check are written unless told otherwise."""
    return home_of(bundle) / CHECKS_FOLDER / bundle.absolute().name


def in_force(home: Path) -> str:
    """Digest of the promotion in force in `home`, empty where nothing was promoted; errors as `read_promotions`."""
    records = read_promotions(home).records
    return records[-1].record_digest if records else ""


def promote(bundle: Path, report: Path | None = None) -> Promotion:
    """Mark the bundle as the one in use, on the strength of its report; a bundle that is so already stays as it is.

    One promotion at a time: a check that began before another bundle was promoted was not held to that one, and does
    not count any more, unless the bundle was in use before (somebody goes back to it) or the check was held to another
    folder's bundle (`deploy.against`).

    Raises DataError (DATASET_NOT_FOUND, CORRUPTION) for a bundle, report or record that is absent or changed,
    ProofError(VALIDATION_FAILED) when the check was not passed, was one of other contents, or does not count any more.
    """
    opened = open_bundle(bundle)
    place = report or _report_of(bundle)
    found = read_report(place)
    if found.bundle_digest != opened.manifest.digest:
        raise _refused(
            bundle,
            f"{place} is about a bundle with the digest {found.bundle_digest[:12]}, this one has "
            f"{opened.manifest.digest[:12]}: it was changed since, or is another",
        )
    if not found.passed:
        raise _refused(bundle, "it did not pass its check: " + "; ".join(found.failures))
    with _promoting(home_of(bundle)) as path:
        history = read_promotions(home_of(bundle))
        last = history.records[-1] if history.records else None
        if last and (last.bundle_digest, last.report_digest) == (found.bundle_digest, found.record_digest):
            return last
        _check_order(bundle, found, history)
        record = _record(bundle.absolute(), place, found, last)
        history.records = [*history.records, record]
        write_json(path, history.model_dump(mode="json"))
    return record


def read_promotions(home: Path) -> Promotions:
    """The history in `home`, empty where there is none; DataError(CORRUPTION) when it does not prove itself."""
    path = home / CHECKS_FOLDER / PROMOTED_NAME
    try:
        history = Promotions.model_validate_json(read_plain(path))
    except FileNotFoundError:
        return Promotions()
    except (OSError, ValidationError) as error:
        raise _damaged(path, "it cannot be read") from error
    before = ""
    for number, record in enumerate(history.records, 1):
        if record.record_digest != record.own_digest() or record.follows != before:
            raise _damaged(path, f"record {number} is not as it was written, its digests say")
        before = record.record_digest
    return history


@contextmanager
def _promoting(home: Path) -> Iterator[Path]:
    """The file of records, nobody else changing it; the lock goes with the process that holds it."""
    folder = home / CHECKS_FOLDER
    try:
        folder.mkdir(exist_ok=True)
        descriptor = os.open(folder / LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise write_error(error, folder) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield folder / PROMOTED_NAME
    finally:
        os.close(descriptor)


def _check_order(bundle: Path, report: DeployReport, history: Promotions) -> None:
    if not history.records or report.requirements.against is not None:
        return
    now = history.records[-1]
    used_before = any(record.bundle_digest == report.bundle_digest for record in history.records)
    if report.promoted_then != now.record_digest and not used_before:
        raise _refused(bundle, f"{now.bundle} was promoted since its check began, which was not held to that one")


def _record(bundle: Path, place: Path, report: DeployReport, last: Promotion | None) -> Promotion:
    record = Promotion(
        bundle=bundle.relative_to(home_of(bundle)).as_posix(),
        bundle_digest=report.bundle_digest,
        report=str(place.absolute()),
        report_digest=report.record_digest,
        machine=report.machine,
        load=report.requirements.load,
        rate_per_second=report.rate_per_second,
        figures=report.figures,
        follows="" if last is None else last.record_digest,
    )
    record.record_digest = record.own_digest()
    return record


def _report_of(bundle: Path) -> Path:
    """The newest report of the bundle: of a check by hand, or of the stage of its run."""
    by_stage = home_of(bundle) / STAGE_FOLDER / bundle.absolute().name / REPORT_NAME
    places = [check_folder(bundle) / REPORT_NAME, by_stage]
    there = [path for path in places if path.is_file()]
    return max(there, key=lambda path: path.stat().st_mtime) if there else places[0]


def _refused(bundle: Path, why: str) -> ProofError:
    return ProofError(
        ErrorCode.VALIDATION_FAILED,
        f"{bundle} is not promoted: {why}",
        f"check it as it is now: loquela deploy-check {bundle}",
        details={"path": str(bundle)},
    )


def _damaged(path: Path, why: str) -> DataError:
    return DataError(
        ErrorCode.CORRUPTION,
        f"{path} does not say any more which bundle is in use: {why}",
        f"bring {path.name} back from a copy, or move it away and promote the bundle in use again",
    )
