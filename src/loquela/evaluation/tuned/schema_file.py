"""The JSON schema that answers must fit, read and checked; nothing is fetched for it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

from pydantic import JsonValue

from loquela.core.errors import ErrorCode, RecipeError
from loquela.core.extras import require
from loquela.evaluation.tuned.metric_contract import SchemaCheck

EXTRA = "finetune"
PURPOSE = "evaluate.tuned.json_schema"


class FileSchema:
    """A schema of a file; what it refers to stands in it."""

    def __init__(self, schema: JsonValue, jsonschema: ModuleType, registry: object) -> None:
        validator = jsonschema.validators.validator_for(schema, default=jsonschema.Draft202012Validator)
        # With a registry of its own the library never looks up an address by itself.
        self._validator: SchemaCheck = validator(schema, registry=registry)

    def is_valid(self, instance: JsonValue) -> bool:
        """Whether `instance` is what the schema describes."""
        return self._validator.is_valid(instance)


def read_schema(path: Path) -> SchemaCheck:
    """The schema in `path`.

    RecipeError(CONFIG_INVALID) for a file that is absent, no JSON, no schema, or refers to what does not stand in it.
    """
    jsonschema = require("jsonschema", extra=EXTRA, purpose=PURPOSE)
    referencing = require("referencing", extra=EXTRA, purpose=PURPOSE)
    try:
        schema: JsonValue = json.loads(path.expanduser().read_text(encoding="utf-8"))
        if not isinstance(schema, dict | bool):
            raise ValueError("a schema is an object")
        jsonschema.validators.validator_for(schema, default=jsonschema.Draft202012Validator).check_schema(schema)
    except OSError as error:
        raise _unusable(path, f"it cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise _unusable(path, f"it is no JSON: {error}") from error
    except jsonschema.exceptions.SchemaError as error:
        raise _unusable(path, f"it is no JSON schema: {error.message}") from error
    registry = referencing.Registry()
    whole = referencing.Resource.from_contents(schema, default_specification=referencing.jsonschema.DRAFT202012)
    resolver = registry.with_resource("", whole).resolver()
    for reference in _references(schema):
        try:
            resolver.lookup(reference)
        except referencing.exceptions.Unresolvable as error:
            raise _unusable(path, f"it refers to {reference}, which does not stand in it") from error
    return FileSchema(schema, jsonschema, registry)


def _references(schema: JsonValue) -> Iterator[str]:
    """Every $ref, at any depth; one may stand where it is only data, and must lead somewhere all the same."""
    if isinstance(schema, dict):
        reference = schema.get("$ref")
        if isinstance(reference, str):
            yield reference
        for part in schema.values():
            yield from _references(part)
    elif isinstance(schema, list):
        for part in schema:
            yield from _references(part)


def _unusable(path: Path, why: str) -> RecipeError:
    return RecipeError(
        ErrorCode.CONFIG_INVALID,
        f"evaluate.tuned.json_schema: {path} cannot be used: {why}",
        "give a file with one JSON schema",
        details={"path": str(path)},
    )
