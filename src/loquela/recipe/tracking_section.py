"""The recipe keys `track` and `tracking`: which experiment trackers follow a run, and where they keep it."""

from __future__ import annotations

from importlib import metadata
from typing import Annotated

from pydantic import AfterValidator, Field, JsonValue

from loquela.core.model import BoundaryModel
from loquela.core.near_names import unknown_name
from loquela.recipe.secrets_in_recipes import without_secret

BUILT_IN_TRACKERS = ("tensorboard", "wandb", "mlflow")


def known_trackers() -> list[str]:
    """The built-in trackers and those of installed packages (entry points in `loquela.trackers`)."""
    installed = {entry.name for entry in metadata.entry_points(group="loquela.trackers")}
    return [*BUILT_IN_TRACKERS, *sorted(installed.difference(BUILT_IN_TRACKERS))]


def _list_trackers(schema: dict[str, JsonValue]) -> None:
    schema["enum"] = [*known_trackers()]


def _known_tracker(name: str) -> str:
    if name not in BUILT_IN_TRACKERS and name not in known_trackers():
        raise ValueError(unknown_name("tracker", name, known_trackers()))
    return name


TrackerName = Annotated[str, AfterValidator(_known_tracker), Field(json_schema_extra=_list_trackers)]


class TrackingSection(BoundaryModel):
    """Of the trackers in `track`; TensorBoard needs none of it."""

    project: str | None = Field(
        None,
        min_length=1,
        max_length=128,
        description="project (wandb) or experiment (mlflow) that runs are kept under; null: the recipe's name",
    )
    uri: Annotated[str, AfterValidator(without_secret)] | None = Field(
        None,
        description="mlflow's server or database; null: MLFLOW_TRACKING_URI, else mlflow.db in output_directory",
    )
    offline: bool = Field(
        False, description="nothing leaves this machine: wandb writes into the run, and `wandb sync` may send it later"
    )
