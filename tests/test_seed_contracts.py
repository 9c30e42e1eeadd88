"""The component specification and the data model, held against our models, field by field."""

from __future__ import annotations

import inspect
import itertools
import json
import re
from pathlib import Path

import pytest

import seed_text
from loquela.artifacts.training_records import TrainingCheckpoint, TrainingMetrics
from loquela.cli.json_schemas import json_schema_of
from loquela.cli.schema import find_model, kebab
from loquela.core.errors import InternalError
from loquela.jobs.stored_bus import StoredBus
from loquela.monitoring.adaptors import EventBusAdaptor
from loquela.monitoring.events import EventBus
from loquela.monitoring.logs import RunLogs
from loquela.recipe.pipeline import PipelineConfiguration
from loquela.runs.status import Phase, PipelineStatus
from loquela.service.configuration_adaptor import ConfigurationAdaptor
from seed_text import Component

COMPONENTS = seed_text.seed("000")
DATA_MODEL = seed_text.seed("001")
pytestmark = pytest.mark.skipif(not (COMPONENTS and DATA_MODEL), reason="the specification is not beside the checkout")
SOURCE = Path(__file__).parents[1] / "src" / "loquela"

TRAINING_PATH = (
    "DataPreprocessor", "DatasetBuilder", "ComputeResourceManager", "ModelInitializer", "DataLoader",
    "TrainingOrchestrator", "LossCalculator", "GradientComputer", "OptimizerStep", "MetricsCollector",
    "ValidationRunner", "ModelCheckpointer",
)  # fmt: skip
# What reads and judges data before the path that every run takes.
DATA_PATH = ("DataSourceConnector", "DataStreamReader", "DataValidator")
# What leaves the building.
EXPORT_PATH = ("ModelExporter", "DeploymentValidator")
# What watches all of it.
WATCHING = ("AlertingSystem",)
COMPARED = DATA_PATH + TRAINING_PATH + EXPORT_PATH + WATCHING
PARTS = [part for part in seed_text.components(COMPONENTS) if part.name in COMPARED]

# Where a model deliberately says more than its specification: field → values that were added.
ADDED_VALUES = {
    ("DataStreamReaderRequest", "format"): {"jsonl", "tsv", "arrow"},
    ("DataSourceConnectorRequest", "source_type"): {"local", "huggingface"},
    ("DataPreprocessorRequest", "tokenizer_type"): {"unigram", "char", "word"},
    ("ComputeResourceManagerResult", "type"): {"cpu"},
    ("TrainingOrchestratorRequest", "optimizer"): {"muon"},
    ("AlertingSystemRequest", "alert_channels"): {"discord", "webhook", "apprise"},
}
# A float has no graph behind it: what is differentiated is a tensor.
OTHER_TYPES = {("GradientComputerRequest", "loss_value")}
TYPES = {"string": "string", "integer": "integer", "float": "number", "boolean": "boolean", "uuid": "string",
         "iso8601": "string", "object": "object"}  # fmt: skip
FORMATS = {"uuid": "uuid", "iso8601": "date-time"}


def resolved(node: dict, root: dict) -> dict:
    """The schema behind a reference, or the part of a nullable one that is not null."""
    if "$ref" in node:
        return resolved(root["$defs"][node["$ref"].rsplit("/", 1)[1]], root)
    options = [option for option in node.get("anyOf", []) if option.get("type") != "null"]
    return resolved(options[0], root) if options else node


def check_object(where: str, wanted: dict, schema: dict, root: dict) -> None:
    assert set(schema.get("properties", {})) == set(wanted), where
    for name, kind in wanted.items():
        node = resolved(schema["properties"][name], root)
        if isinstance(kind, dict):
            check_object(where, kind, node, root)
        elif isinstance(kind, list):
            check_object(where, kind[0], resolved(node["items"], root), root)
        else:
            check_value(where, name, kind, schema["properties"][name], root)


def check_value(where: str, name: str, kind: str, declared: dict, root: dict) -> None:
    node = resolved(declared, root)
    base = re.split(r"[ \[|]", kind)[0]
    if base in TYPES and (where, name) not in OTHER_TYPES:
        assert node.get("type") == TYPES[base], (where, name, node)
        assert FORMATS.get(base) in (None, node.get("format")), (where, name, node)
    if kind.endswith("|null"):
        assert any(option.get("type") == "null" for option in declared["anyOf"]), (where, name)
    values = seed_text.alternatives(kind)
    if values:
        listed = resolved(node["items"], root) if base == "array" else node
        ours = listed.get("enum", [listed.get("const")])
        assert set(ours) - ADDED_VALUES.get((where, name), set()) == set(values), (where, name)
    limits = re.search(r"\[([\d.]+)-([\d.]+)\]", kind)
    if limits:
        assert (node["minimum"], node["maximum"]) == (float(limits[1]), float(limits[2])), (where, name)


@pytest.mark.parametrize("kind", ["Request", "Result", "Error"])
@pytest.mark.parametrize("part", PARTS, ids=lambda part: part.name)
def test_models_have_the_specified_fields_types_and_values(part: Component, kind: str) -> None:
    name = f"{part.name}{kind}"
    schema = json_schema_of(find_model(kebab(name)))
    check_object(name, part.schemas[kind], schema, schema)


def test_every_component_of_the_training_path_is_compared() -> None:
    assert {part.name for part in PARTS} == {part.name for part in seed_text.components(COMPONENTS)} == {*COMPARED}


@pytest.mark.parametrize("part", PARTS, ids=lambda part: part.name)
def test_every_error_code_is_raised_and_tested(part: Component) -> None:
    tables = ("errors.py", "contracts.py", "error_meanings.py")
    source = "\n".join(path.read_text() for path in SOURCE.rglob("*.py") if path.name not in tables)
    here = Path(__file__)
    tests = "\n".join(path.read_text() for path in here.parent.rglob("test_*.py") if path != here)
    for code in part.error_codes:
        assert re.search(rf"\b{code}\b", source), f"{code} is raised nowhere"
        assert re.search(rf"\b{code}\b", tests), f"no test speaks of {code}"


# ── adaptors ──────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("adaptor", "title"),
    [
        (EventBusAdaptor, "EventBusAdaptor"),
        (StoredBus, "EventBusAdaptor"),
        (RunLogs, "LoggingAdaptor"),
        (ConfigurationAdaptor, "ConfigurationAdaptor"),
    ],
)
def test_adaptors_have_the_specified_calls(adaptor: type, title: str) -> None:
    block = re.search(rf"### {title}\n.*?```python\n(.*?)```", COMPONENTS, re.DOTALL)
    assert block
    signatures = re.findall(r"def (\w+)\((.*?)\) -> (\w+)", block[1])
    assert len(signatures) >= 2
    for name, parameters, returned in signatures:
        ours = inspect.signature(getattr(adaptor, name))
        assert list(ours.parameters)[1:] == [part.split(":")[0].strip() for part in parameters.split(",")], name
        # What may be anything is what JSON may be.
        assert ours.return_annotation == returned.replace("Any", "JsonValue"), name


# ── the data model ────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("model", [PipelineConfiguration, PipelineStatus, TrainingMetrics, TrainingCheckpoint])
def test_entities_have_every_attribute(model: type) -> None:
    schema = json_schema_of(model)
    for name, nested in seed_text.attributes(DATA_MODEL, model.__name__).items():
        assert name in schema["properties"], name
        node = resolved(schema["properties"][name], schema)
        node = resolved(node["items"], schema) if node.get("type") == "array" and nested else node
        for inner in nested:
            found = {*node["properties"]} | {
                deeper
                for child in node["properties"].values()
                for deeper in resolved(child, schema).get("properties", {})
            }
            assert inner in found, (name, inner)


def test_ranges_of_the_configuration() -> None:
    schema = json_schema_of(PipelineConfiguration)
    flat = {**schema["properties"]}
    for section in ("model_architecture", "training_hyperparameters"):
        flat.update(resolved(schema["properties"][section], schema)["properties"])
    ranges = re.findall(r"`(\w+)` \((?:Integer|Float)\): [^\n]*\(([\d.e-]+)(?:-| to )([\d.e-]+)\)", DATA_MODEL)
    vocabulary = re.search(r"range \[(\d+), (\d+)\]", DATA_MODEL)
    assert vocabulary
    assert len(ranges) == 8
    for name, low, high in [*ranges, ("tokenizer_vocab_size", *vocabulary.groups())]:
        assert (flat[name]["minimum"], flat[name]["maximum"]) == (float(low), float(high)), name


def test_defaults_of_the_configuration() -> None:
    ours = PipelineConfiguration()
    for section, default in re.findall(r"- `(model_architecture|training_\w+)`.*?Default: \{(.*?)\}", DATA_MODEL, re.S):
        wanted = json.loads("{" + re.sub(r"(\w+):", r'"\1":', default) + "}")
        assert getattr(ours, section).model_dump() == wanted
    assert (ours.tokenizer_vocab_size, ours.tokenizer_model_type, ours.output_directory) == (8000, "unigram", "./data/")
    assert ours.resume_from_checkpoint is False
    assert ours.skip_phases == set()


def test_transitions_are_those_of_the_table() -> None:
    rows = re.findall(r"^(\w+) → \[\w+\] → (\w+) \| \[\w+\] → failed$", DATA_MODEL, re.MULTILINE)
    assert len(rows) == 5
    allowed = {(Phase(before), Phase(after)) for before, after in rows}
    for before, after in itertools.product(Phase, Phase):
        status = PipelineStatus(run_id="r", current_phase=before)
        if (before, after) in allowed:
            status.advance(after)
            assert status.current_phase is after
            assert status.completed_phases == [before]
        else:
            with pytest.raises(InternalError, match=f"in phase {before} cannot go to {after}"):
                status.advance(after)


def test_the_bus_by_topic() -> None:
    bus = EventBus()
    adaptor = EventBusAdaptor(bus)
    heard: list[dict] = []
    exact = adaptor.subscribe("trainer.job.started.v1", heard.append)
    whole = adaptor.subscribe("trainer.*", heard.append)
    assert adaptor.publish("trainer.job.started.v1", {"step": 0})
    bus.publish("trainer.metrics.completed.v1", {"loss": 1.0})
    bus.publish("notice.v1", {})
    assert heard == [{"step": 0}, {"step": 0}, {"loss": 1.0}]
    assert adaptor.unsubscribe(exact)
    assert not adaptor.unsubscribe(exact)
    assert adaptor.unsubscribe(whole)
    assert adaptor.publish("trainer.job.started.v1", {})
    assert len(heard) == 3
