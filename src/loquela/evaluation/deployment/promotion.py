"""Which bundle is in use: `promoted.json` beside the exports, a chain of records each of which proves itself.

A record says which bundle, by digest, passed which check, by digest, and which record it follows.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from pydantic import Field, ValidationError

from loquela.artifacts.bundle import open_bundle
from loquela.core.atomic import write_json
from loquela.core.digests import digest_json
from loquela.core.errors import DataError, ErrorCode, ProofError
from loquela.core.model import BoundaryModel
from loquela.evaluation.deployment.report import REPORT_NAME, DeployReport, Figure, Machine, read_report
from loquela.recipe.deploy_section import DeployLoad

PROMOTED_NAME = "promoted.json"
CHECK_SUFFIX = ".check"
STAGE_FOLDER = "deploy"


class Promotion(BoundaryModel):
    """One promotion; `bundle` is the folder's name beside the file, `follows` the record before ("": the first)."""

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


def check_folder(bundle: Path) -> Path:
    """Where the reports of a bundle's check are written unless told otherwise: beside it."""
    return bundle.absolute().with_name(bundle.absolute().name + CHECK_SUFFIX)


def promote(bundle: Path, report: Path | None = None) -> Promotion:
    """Mark the bundle as the one in use, on the strength of its report; a bundle that is so already stays as it is.

    Raises DataError (DATASET_NOT_FOUND, CORRUPTION) for a bundle, report or record that is absent or changed,
    ProofError(VALIDATION_FAILED) when the check was not passed, or was one of other contents.
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
    beside = bundle.absolute().parent
    history = read_promotions(beside)
    last = history.records[-1] if history.records else None
    if last and (last.bundle_digest, last.report_digest) == (found.bundle_digest, found.record_digest):
        return last
    record = _record(bundle.absolute(), place, found, last)
    history.records = [*history.records, record]
    write_json(beside / PROMOTED_NAME, history.model_dump(mode="json"))
    return record


def read_promotions(folder: Path) -> Promotions:
    """The history in `folder`, empty where there is none; DataError(CORRUPTION) when it does not prove itself."""
    path = folder / PROMOTED_NAME
    try:
        history = Promotions.model_validate_json(path.read_bytes())
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


def _record(bundle: Path, place: Path, report: DeployReport, last: Promotion | None) -> Promotion:
    record = Promotion(
        bundle=bundle.name,
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
    """The newest report beside the bundle, or of the run that it was exported in."""
    place = bundle.absolute()
    places = [check_folder(bundle) / REPORT_NAME, place.parent.parent / STAGE_FOLDER / place.name / REPORT_NAME]
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
