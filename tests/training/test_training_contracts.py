"""Contracts: the published fields and codes, JSON Schemas of all of them, unknown fields refused."""

from uuid import uuid4

import pytest
import torch
from pydantic import ValidationError
from torch import nn

from loquela.core.errors import ErrorCode
from loquela.monitoring import contracts as monitoring
from loquela.training import contracts as training

FIELDS = {
    training.DataLoaderRequest: "dataset_path batch_size shuffle num_workers prefetch_factor",
    training.DataLoaderResult: "loader_id batch_iterator num_batches estimated_time_per_epoch_seconds",
    training.DataLoaderError: "error_code batch_id",
    training.TrainingOrchestratorRequest: "model_id loader_id training_config",
    training.TrainingConfig: "num_epochs learning_rate optimizer gradient_accumulation_steps "
    "checkpoint_every_n_steps mixed_precision",
    training.TrainingOrchestratorResult: "training_id status current_epoch current_step latest_checkpoint",
    training.TrainingOrchestratorError: "error_code step epoch recoverable",
    training.LossCalculatorRequest: "predictions targets loss_function reduction",
    training.LossCalculatorResult: "loss_value per_sample_loss numerical_stable",
    training.LossCalculatorError: "error_code debug_info",
    training.GradientComputerRequest: "loss_value model_parameters gradient_clip_norm distributed",
    training.GradientComputerResult: "gradients gradient_norm clipped",
    training.GradientComputerError: "error_code gradient_norm",
    training.OptimizerStepRequest: "gradients optimizer_state learning_rate weight_decay",
    training.OptimizerStepResult: "parameters_updated optimizer_state learning_rate_used",
    training.OptimizerStepError: "error_code message",
    training.ModelCheckpointerRequest: "model_id training_step validation_metrics optimizer_state save_strategy",
    training.ModelCheckpointerResult: "checkpoint_id checkpoint_path size_mb metadata",
    training.CheckpointMetadata: "step metrics timestamp",
    training.ModelCheckpointerError: "error_code path",
    monitoring.MetricsCollectorRequest: "training_id step metrics",
    monitoring.StepMetrics: "loss learning_rate gradient_norm custom_metrics",
    monitoring.MetricsCollectorResult: "metrics_id persisted aggregated_metrics",
    monitoring.AggregatedMetrics: "avg_loss_last_100 trend",
    monitoring.MetricsCollectorError: "error_code metric_name",
}
CODES = {
    training.DataLoaderError: "DATASET_NOT_FOUND CORRUPT_BATCH WORKER_CRASH",
    training.TrainingOrchestratorError: "NAN_LOSS GRADIENT_EXPLOSION OOM CHECKPOINT_FAILED",
    training.LossCalculatorError: "NAN_DETECTED INF_DETECTED SHAPE_MISMATCH",
    training.GradientComputerError: "GRADIENT_EXPLOSION GRADIENT_VANISHING BACKWARD_FAILED",
    training.OptimizerStepError: "UPDATE_FAILED INVALID_STATE",
    training.ModelCheckpointerError: "DISK_FULL WRITE_PERMISSION CORRUPTION",
    monitoring.MetricsCollectorError: "PERSISTENCE_FAILED INVALID_METRIC",
}


@pytest.mark.parametrize("model", FIELDS, ids=lambda model: model.__name__)
def test_has_the_published_fields_and_a_schema(model):
    assert list(model.model_fields) == FIELDS[model].split()
    schema = model.model_json_schema()
    assert set(schema["properties"]) == set(FIELDS[model].split())
    assert schema["additionalProperties"] is False


@pytest.mark.parametrize("model", CODES, ids=lambda model: model.__name__)
def test_errors_have_the_published_codes(model):
    codes = model.model_json_schema()["properties"]["error_code"]["enum"]
    assert sorted(codes) == sorted(CODES[model].split())
    assert all(ErrorCode(code) for code in codes)


def test_tensors_stay_the_same_objects():
    weight, loss = nn.Parameter(torch.zeros(2)), torch.tensor(1.0)
    request = training.GradientComputerRequest(loss_value=loss, model_parameters=[weight])
    assert request.loss_value is loss
    assert request.model_parameters[0] is weight


def test_unknown_fields_are_refused():
    with pytest.raises(ValidationError, match="shufle"):
        training.DataLoaderRequest(dataset_path="x", batch_size=1, shufle=True)
    with pytest.raises(ValidationError, match="los_function"):
        training.LossCalculatorRequest(predictions=torch.zeros(1), targets=torch.zeros(1), los_function="mse")


def test_a_metrics_request_is_plain_json():
    request = monitoring.MetricsCollectorRequest(training_id=uuid4(), step=1, metrics={"loss": float("nan")})
    again = monitoring.MetricsCollectorRequest.model_validate_json(request.model_dump_json())
    assert again.metrics.loss != again.metrics.loss
