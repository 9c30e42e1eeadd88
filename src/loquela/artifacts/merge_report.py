"""merge_report.json of a merged model: how near it is to base + adapter, and which bases were tried."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError

from loquela.artifacts.manifest import corrupt
from loquela.core.model import BoundaryModel
from loquela.recipe.finetune_section import MergeBase, MergeOptions

REPORT_NAME = "merge_report.json"
KIND = "merged"


class MergeCandidate(BoundaryModel):
    """A merged model, stored, loaded again and compared with the adapter on its base.

    `mean_kl` is the mean of KL(adapter on base ‖ merged) over all compared positions and `max_kl` the largest, in
    nats; `top1_agreement` the share of positions where both expect the same token most; `greedy_match` the share of
    prompts whose greedy answers are equal token by token, `greedy_tokens_equal` that of tokens before the first
    difference; `changed_tensors` of `tensors` were merged, the others are the base's own bytes.
    """

    base: MergeBase
    number_format: list[str] = Field(description="of the stored weights")
    tensors: int
    changed_tensors: int
    size_bytes: int
    mean_kl: float
    max_kl: float
    top1_agreement: float = Field(ge=0, le=1)
    greedy_match: float = Field(ge=0, le=1)
    greedy_tokens_equal: float = Field(ge=0, le=1)
    max_logit_difference: float
    failures: list[str] = Field(default_factory=list, description="limits that it misses")


class MergeReport(BoundaryModel):
    """All candidates, and the one that was taken: of those within the limits the one with the smallest mean KL."""

    format_version: int = 1
    passed: bool
    chosen: MergeBase | None
    reference: str = Field(description="what the candidates were compared with")
    prompts: str = Field(description="where the prompts come from")
    prompts_compared: int
    positions_compared: int
    greedy_tokens: int = Field(description="longest greedy answer")
    arithmetic: Literal["fp32", "bf16", "fp16"] = Field(description="number format of the merged model's arithmetic")
    candidates: list[MergeCandidate]
    limits: MergeOptions
    base_source: str
    base_digest: str
    adapter_digest: str
    libraries: dict[str, str] = Field(default_factory=dict)

    @property
    def taken(self) -> MergeCandidate | None:
        """The candidate that was chosen."""
        return next((each for each in self.candidates if each.base == self.chosen), None)


def read_merge_report(directory: Path) -> MergeReport:
    """What was measured when the model in `directory` was merged; DataError(CORRUPTION) when it cannot be read."""
    try:
        return MergeReport.model_validate_json((directory / REPORT_NAME).read_bytes())
    except (OSError, ValidationError) as error:
        raise corrupt(directory, f"{REPORT_NAME} cannot be read as the report of a merge") from error
