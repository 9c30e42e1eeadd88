"""Finds a tracker by its name."""

from __future__ import annotations

from loquela.core.registry import Registry
from loquela.monitoring.tracking.contract import Tracker

TRACKERS: Registry[Tracker] = Registry("tracker", "loquela.trackers")
TRACKERS.register("tensorboard", "loquela.monitoring.trackers.tensorboard:TensorBoardTracker")
TRACKERS.register("wandb", "loquela.monitoring.trackers.wandb:WandbTracker")
TRACKERS.register("mlflow", "loquela.monitoring.trackers.mlflow:MlflowTracker")
