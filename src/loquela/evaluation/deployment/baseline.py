"""The promoted bundle to hold a new one against: measured in turns with it where it is still there."""

from __future__ import annotations

from dataclasses import dataclass

from loquela.artifacts.bundle import Bundle
from loquela.core.errors import DataError, ErrorCode
from loquela.evaluation.deployment.contents import proven_bundle
from loquela.evaluation.deployment.promotion import Promotion, home_of, read_promotions
from loquela.evaluation.deployment.report import Machine
from loquela.recipe.deploy_section import DeployLoad, DeploySection


@dataclass(frozen=True)
class Promoted:
    """The record in force, and its bundle where that is still whole."""

    record: Promotion
    bundle: Bundle | None
    note: str = ""


def find_promoted(bundle: Bundle, section: DeploySection) -> tuple[Promoted | None, str]:
    """What to compare `bundle` with, or None and the sentence that says why there is nothing.

    Raises DataError: CORRUPTION when the record of promotions does not prove itself, DATASET_NOT_FOUND when the
    recipe names a folder in which nothing was promoted.
    """
    home = home_of(bundle.directory) if section.against is None else section.against.expanduser()
    records = read_promotions(home).records
    if not records and section.against is not None:
        raise DataError(
            ErrorCode.DATASET_NOT_FOUND,
            f"deploy.against is {home}, but nothing was promoted there",
            "give the run, or the folder of bundles, in which a bundle was promoted; or leave deploy.against out",
        )
    if not records:
        return None, f"nothing was promoted in {home} yet, so there is nothing to compare with"
    record = records[-1]
    if record.bundle_digest == bundle.manifest.digest:
        return None, "this is the promoted bundle itself, so there is nothing to compare with"
    place = home / record.bundle
    try:
        promoted = proven_bundle(place, section.limits)
    except DataError as error:
        return Promoted(record, None, f"the promoted bundle cannot be measured again: {error.message}"), ""
    if promoted.manifest.digest != record.bundle_digest:
        return Promoted(record, None, f"{place} is no longer the bundle that was promoted"), ""
    return Promoted(record, promoted), ""


def comparable(record: Promotion, machine: Machine, load: DeployLoad, rate_per_second: float) -> bool:
    """Whether recorded figures can stand beside figures of now: one machine, one load."""
    return (record.machine, record.load, record.rate_per_second) == (machine, load, rate_per_second)
