"""ValidationRunner: a model and a validation loader in, metrics out."""

from __future__ import annotations

from uuid import UUID, uuid4

from loquela.artifacts.shards import TokenShards
from loquela.core.errors import DataError, ErrorCode, LoquelaError
from loquela.evaluation.contracts import (
    LossReport,
    ValidationMetrics,
    ValidationRunnerError,
    ValidationRunnerRequest,
    ValidationRunnerResult,
)
from loquela.evaluation.perplexity import Between, measure
from loquela.models.contract import LanguageModel
from loquela.monitoring.events import Bus, trace


class ValidationRunner:
    """Models and loaders are added once and then asked for by id; `between` is that of `perplexity.measure`."""

    def __init__(self, bus: Bus, between: Between = lambda: None) -> None:
        self._bus = bus
        self._between = between
        self._models: dict[UUID, LanguageModel] = {}
        self._loaders: dict[UUID, TokenShards] = {}

    def add_model(self, model: LanguageModel) -> UUID:
        """Make `model` known; returns its id."""
        key = uuid4()
        self._models[key] = model
        return key

    def add_loader(self, shards: TokenShards) -> UUID:
        """Make the split `shards` known; returns its id."""
        key = uuid4()
        self._loaders[key] = shards
        return key

    def run(self, request: ValidationRunnerRequest) -> ValidationRunnerResult:
        """Measure what the request asks for; see `report` for the errors."""
        found = self.report(request)
        wanted = request.evaluation_metrics
        return ValidationRunnerResult(
            metrics=ValidationMetrics(
                perplexity=found.perplexity if "perplexity" in wanted else None,
                accuracy=found.accuracy if "accuracy" in wanted else None,
                f1_score=found.f1_score if "f1" in wanted else None,
            )
        )

    def report(self, request: ValidationRunnerRequest) -> LossReport:
        """The whole report behind `run`.

        Raises DataError(EVALUATION_FAILED) for an unknown id or a split with nothing to predict,
        ProofError(METRIC_COMPUTATION_ERROR) for a loss that is not finite; each is also published.
        """
        ids = {"model_id": str(request.model_id), "validation_loader_id": str(request.validation_loader_id)}
        trace(self._bus, "ValidationRunner", "validation_start", **ids)
        try:
            report = self._measure(request)
        except LoquelaError as error:
            if error.code in (ErrorCode.EVALUATION_FAILED, ErrorCode.METRIC_COMPUTATION_ERROR):
                record = ValidationRunnerError.model_validate({"error_code": error.code, "details": error.message})
                trace(self._bus, "ValidationRunner", "validation_failed", **record.model_dump(mode="json"))
            raise
        trace(self._bus, "ValidationRunner", "validation_complete", **ids, **report.model_dump(mode="json"))
        return report

    def _measure(self, request: ValidationRunnerRequest) -> LossReport:
        model = self._models.get(request.model_id)
        shards = self._loaders.get(request.validation_loader_id)
        if model is None or shards is None:
            missing = f"model {request.model_id}" if model is None else f"loader {request.validation_loader_id}"
            raise DataError(
                ErrorCode.EVALUATION_FAILED,
                f"the validation runner has no {missing}",
                "add it with add_model or add_loader and use the id that returns",
            )
        training = model.training
        model.eval()
        try:
            classes = bool({"accuracy", "f1"} & set(request.evaluation_metrics))
            return measure(model, shards, classes=classes, between=self._between)
        finally:
            model.train(training)
