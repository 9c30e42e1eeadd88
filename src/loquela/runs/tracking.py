"""Trackers of a run: checked before anything is written, then listening until it ends."""

from __future__ import annotations

from pathlib import Path

from loquela.artifacts.proof import Proof
from loquela.monitoring.tracking.contract import TrackedRun
from loquela.monitoring.tracking.listener import TrackerListener
from loquela.monitoring.tracking.registry import TRACKERS
from loquela.recipe.keys import values_of
from loquela.recipe.schema import Recipe


def check_trackers(recipe: Recipe) -> list[Proof]:
    """One proof for all trackers; ResourceError where one that was asked for could not work."""
    for name in recipe.track:
        TRACKERS.get(name).check(tracked_run(recipe, recipe.output_directory, resumed=False))
    if not recipe.track:
        return []
    return [Proof(name="trackers", passed=True, message=f"{', '.join(recipe.track)}: installed and allowed")]


def tracker_listener(recipe: Recipe, directory: Path, *, resumed: bool) -> TrackerListener | None:
    """What feeds the recipe's trackers, new ones for each run; None for a recipe without."""
    if not recipe.track:
        return None
    trackers = {name: TRACKERS.get(name) for name in recipe.track}
    return TrackerListener(trackers, tracked_run(recipe, directory, resumed=resumed))


def tracked_run(recipe: Recipe, directory: Path, *, resumed: bool) -> TrackedRun:
    """What a tracker is told of a run."""
    return TrackedRun(
        run_id=directory.name,
        name=recipe.name,
        directory=directory,
        output_directory=recipe.output_directory,
        resumed=resumed,
        settings=values_of(recipe),
        project=recipe.tracking.project or recipe.name,
        uri=recipe.tracking.uri,
        offline=recipe.tracking.offline,
    )
