"""MLflow: a tracking server or database; without one named, `mlflow.db` in the output directory."""

from __future__ import annotations

import json
import logging
import os
import re
import time
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from typing import Protocol

from loquela.core.errors import ErrorCode, ResourceError
from loquela.core.extras import missing, require
from loquela.monitoring.tracking.contract import Outcome, TrackedRun

PURPOSE = "track: [mlflow]"
RUN_TAG = "loquela.run_id"
STATUS: dict[Outcome, str] = {"completed": "FINISHED", "failed": "FAILED", "interrupted": "KILLED"}
# What MLflow takes in one call, and how long the text of a parameter may be.
PARAMS_PER_CALL = 100
METRICS_PER_CALL = 1000
PARAM_LENGTH = 6000
NAME = re.compile(r"[^A-Za-z0-9_\-. :/]")


class _Named(Protocol):
    @property
    def experiment_id(self) -> str: ...


class _RunInfo(Protocol):
    @property
    def run_id(self) -> str: ...


class _RunData(Protocol):
    @property
    def params(self) -> dict[str, str]: ...


class _Run(Protocol):
    @property
    def info(self) -> _RunInfo: ...

    @property
    def data(self) -> _RunData: ...


class _Client(Protocol):
    """The part of MlflowClient that is used."""

    def get_experiment_by_name(self, name: str) -> _Named | None: ...

    def create_experiment(self, name: str, artifact_location: str | None = None) -> str: ...

    def search_runs(self, experiment_ids: list[str], filter_string: str) -> Sequence[_Run]: ...

    def create_run(self, experiment_id: str, tags: dict[str, str], run_name: str) -> _Run: ...

    def update_run(self, run_id: str, status: str) -> None: ...

    def log_batch(self, run_id: str, metrics: Sequence[object] = (), params: Sequence[object] = ()) -> None: ...

    def set_terminated(self, run_id: str, status: str) -> None: ...


class _Metric(Protocol):
    def __call__(self, key: str, value: float, timestamp: int, step: int) -> object: ...


class _Param(Protocol):
    def __call__(self, key: str, value: str) -> object: ...


class MlflowTracker:
    """The tracked run is found again by a tag with our run id."""

    def __init__(self) -> None:
        self._client: _Client | None = None
        self._metric: _Metric | None = None
        self._run_id = ""

    def check(self, run: TrackedRun) -> None:
        """ResourceError: MISSING_EXTRA, or INSUFFICIENT_RESOURCES for a server where nothing may leave the machine."""
        needed = ("mlflow", "alembic", "sqlalchemy") if _uri(run).startswith("sqlite:") else ("mlflow",)
        for module in needed:
            if find_spec(module) is None:
                raise missing(module, extra="mlflow", purpose=PURPOSE)
        if run.offline and _uri(run).startswith(("http://", "https://")):
            raise ResourceError(
                ErrorCode.INSUFFICIENT_RESOURCES,
                f"tracking.offline keeps everything on this machine, and MLflow's address is {_uri(run)}",
                "leave tracking.uri and MLFLOW_TRACKING_URI out, or set tracking.offline: false",
            )

    def start(self, run: TrackedRun) -> str:
        """Open the tracked run, or the one with our id again."""
        # The library tells its makers how it is used, unless it is told not to.
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        tracking = require("mlflow.tracking", extra="mlflow", purpose=PURPOSE)
        entities = require("mlflow.entities", extra="mlflow", purpose=PURPOSE)
        for name in ("mlflow", "alembic"):
            logging.getLogger(name).setLevel(logging.WARNING)
        uri = _uri(run)
        client: _Client = tracking.MlflowClient(tracking_uri=uri)
        self._metric = entities.Metric
        found = _open_run(client, _experiment(client, run, uri), run)
        self._client, self._run_id = client, found.info.run_id
        self._write_settings(client, found, run, entities.Param)
        return f"{uri}, experiment {run.project}, run {self._run_id}"

    def rewind(self, step: int) -> None:
        """Nothing: MLflow keeps every value of a step, and shows the newest."""

    def log(self, step: int, numbers: Mapping[str, float]) -> None:
        """Metrics of one step, in one call as far as MLflow takes them."""
        if self._client is None or self._metric is None:
            return
        now = time.time_ns() // 1_000_000
        metrics = [self._metric(NAME.sub("_", name), value, now, step) for name, value in numbers.items()]
        for start in range(0, len(metrics), METRICS_PER_CALL):
            self._client.log_batch(self._run_id, metrics=metrics[start : start + METRICS_PER_CALL])

    def finish(self, outcome: Outcome) -> None:
        """Mark the run as ended."""
        if self._client is not None:
            self._client.set_terminated(self._run_id, status=STATUS[outcome])
            self._client = None

    def _write_settings(self, client: _Client, found: _Run, run: TrackedRun, param: _Param) -> None:
        """The recipe as parameters; those that stand there already cannot be changed in MLflow, and stay."""
        texts = {NAME.sub("_", key): json.dumps(value, ensure_ascii=False) for key, value in run.settings.items()}
        new = [param(key, text[:PARAM_LENGTH]) for key, text in texts.items() if key not in found.data.params]
        for start in range(0, len(new), PARAMS_PER_CALL):
            client.log_batch(found.info.run_id, params=new[start : start + PARAMS_PER_CALL])


def _uri(run: TrackedRun) -> str:
    own = run.output_directory.absolute() / "mlflow.db"
    return run.uri or os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{own}"


def _experiment(client: _Client, run: TrackedRun, uri: str) -> str:
    known = client.get_experiment_by_name(run.project)
    if known is not None:
        return known.experiment_id
    beside = (run.output_directory.absolute() / "mlflow-artifacts").as_uri() if uri.startswith("sqlite:") else None
    return client.create_experiment(run.project, artifact_location=beside)


def _open_run(client: _Client, experiment: str, run: TrackedRun) -> _Run:
    before = client.search_runs([experiment], filter_string=f"tags.`{RUN_TAG}` = '{run.run_id}'")
    if not before:
        return client.create_run(experiment, tags={RUN_TAG: run.run_id}, run_name=run.run_id)
    client.update_run(before[0].info.run_id, status="RUNNING")
    return before[0]
