"""`loquela schema NAME`: JSON Schema of everything that crosses a boundary."""

from __future__ import annotations

import importlib
import importlib.util
import re
from typing import TYPE_CHECKING

import click

from loquela.cli.options import json_option
from loquela.cli.output import emit_json

if TYPE_CHECKING:
    from pydantic import BaseModel

SCHEMAS = {
    "recipe": "loquela.recipe.schema:Recipe",
    "resolved-recipe": "loquela.recipe.origins:ResolvedRecipe",
    "pipeline-configuration": "loquela.recipe.pipeline:PipelineConfiguration",
    "pipeline-status": "loquela.runs.status:PipelineStatus",
    "training-metrics": "loquela.artifacts.training_records:TrainingMetrics",
    "training-checkpoint": "loquela.artifacts.training_records:TrainingCheckpoint",
    "validation-results": "loquela.artifacts.validation_results:ValidationResults",
    "run-manifest": "loquela.runs.manifest:TrainingRunManifest",
    "run-summary": "loquela.runs.store:RunSummary",
    "run-comparison": "loquela.runs.comparison:RunComparison",
    "comparison": "loquela.evaluation.tuned.contracts:ComparisonReport",
    "plan": "loquela.compute.plan:Plan",
    "proof": "loquela.artifacts.proof:Proof",
    "verify-report": "loquela.runs.verify:VerifyReport",
    "manifest": "loquela.artifacts.manifest:Manifest",
    "document": "loquela.artifacts.corpus:Document",
    "event": "loquela.monitoring.events:Event",
    "error": "loquela.core.error_report:ErrorReport",
    "transformer-config": "loquela.models.config:TransformerConfig",
    "recurrent-config": "loquela.models.config:RecurrentConfig",
    "memory-plan": "loquela.models.size:MemoryPlan",
    "device-plan": "loquela.compute.devices:DevicePlan",
    "epoch-metrics": "loquela.artifacts.training_records:EpochMetrics",
    "final-metrics": "loquela.artifacts.training_records:FinalMetrics",
    "deploy-report": "loquela.evaluation.deployment.report:DeployReport",
    "promotion": "loquela.evaluation.deployment.promotion:Promotion",
    "ledger": "loquela.data.tally:Ledger",
}

CONTRACTS = (
    "loquela.data.shards.contracts",
    "loquela.data.access.connector_contracts",
    "loquela.data.reading.contracts",
    "loquela.data.validation.contracts",
    "loquela.tokenizers.contract",
    "loquela.models.contracts",
    "loquela.compute.contracts",
    "loquela.training.contracts",
    "loquela.monitoring.contracts",
    "loquela.monitoring.alerts.contracts",
    "loquela.inference.chat_contracts",
    "loquela.inference.contracts",
    "loquela.evaluation.contracts",
    "loquela.evaluation.deployment.contracts",
    "loquela.export.contracts",
)
"""Modules whose every boundary model is known by its own name: GenerateRequest is generate-request."""


@click.command("schema", epilog="\b\nExample:\n  loquela schema recipe > recipe.schema.json")
@click.argument("name", required=False, metavar="[NAME]")
@json_option
def command(name: str | None, as_json: bool) -> None:
    """Print the JSON Schema of a recipe, request, result or event.

    Without NAME, the names are listed. Schemas are JSON with or without --json.
    """
    if name is not None:
        from loquela.cli.json_schemas import json_schema_of

        emit_json(json_schema_of(find_model(name)))
    elif as_json:
        emit_json({"names": [*sorted(known_models())]})
    else:
        for known in sorted(known_models()):
            click.echo(known)


def find_model(name: str) -> type[BaseModel]:
    """The boundary model called `name`; RecipeError(NOT_REGISTERED) with the nearest name otherwise."""
    from loquela.core.errors import ErrorCode, RecipeError
    from loquela.core.near_names import nearest

    path = SCHEMAS.get(name) or known_models().get(name)
    if path is None:
        near = nearest(name, known_models())
        hint = f"; did you mean {near!r}?" if near else ""
        raise RecipeError(
            ErrorCode.NOT_REGISTERED, f"no such schema {name!r}{hint}", "list the names with: loquela schema"
        )
    module, _, attribute = path.partition(":")
    model: type[BaseModel] = getattr(importlib.import_module(module), attribute)
    return model


def known_models() -> dict[str, str]:
    """Name → "module:class" of every boundary model."""
    from loquela.core.model import BoundaryModel

    found = dict(SCHEMAS)
    for module_name in CONTRACTS:
        if importlib.util.find_spec(module_name) is None:
            continue
        for name, value in vars(importlib.import_module(module_name)).items():
            if not isinstance(value, type) or value.__module__ != module_name:
                continue
            if issubclass(value, BoundaryModel) and value.model_fields:
                found.setdefault(kebab(name), f"{module_name}:{name}")
    return found


def kebab(name: str) -> str:
    """GenerateRequest → generate-request."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", name).lower()
