"""Which export of a run is in use, read from the run's checks/promoted.json, where the command line writes it too."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path, PurePosixPath

from pydantic import ConfigDict, Field

from loquela.core.model import BoundaryModel
from loquela.evaluation.deployment.promotion import read_promotions
from loquela.evaluation.deployment.report import Figure


class PromotionView(BoundaryModel):
    """One promotion; digests are SHA-256."""

    export: str = Field(description="its name: GET /runs/{run_id}/exports")
    bundle_digest: str = Field(description="of the export as it was checked")
    report_digest: str = Field(description="of the check that it passed")
    promoted: datetime
    figures: list[Figure] = Field(description="what the check measured")
    record_digest: str = Field(description="of this record and, through it, of those before")


class PromotionList(BoundaryModel):
    """The promotions of a run, oldest first; the last one is in force."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"run_id": "r", "in_use": None, "promotions": []}]})

    run_id: str
    in_use: str | None = Field(description="the export that was promoted last; null: none was")
    promotions: list[PromotionView]


def promotions_of(run_id: str, folder: Path) -> PromotionList:
    """The promotions in the run's folder; DataError(CORRUPTION) where the records do not prove themselves."""
    found = [
        PromotionView(
            export=PurePosixPath(record.bundle).name,
            bundle_digest=record.bundle_digest,
            report_digest=record.report_digest,
            promoted=record.promoted,
            figures=record.figures,
            record_digest=record.record_digest,
        )
        for record in read_promotions(folder).records
    ]
    return PromotionList(run_id=run_id, in_use=found[-1].export if found else None, promotions=found)
