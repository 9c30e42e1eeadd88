"""The JSON schema that answers must fit, read and checked; nothing is fetched for it."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType

from pydantic import JsonValue

from loquela.core.errors import ErrorCode, RecipeError
from loquela.core.extras import require
from loquela.evaluation.tuned.metric_contract import SchemaCheck


class FileSchema:
    """A schema of a file; what it refers to must stand in it."""

    def __init__(self, schema: JsonValue, jsonschema: ModuleType) -> None:
        # An empty registry: otherwise the library would look up addresses in $ref by itself.
        registry: object = require("referencing", extra="finetune", purpose="a JSON schema").Registry()
        validator = jsonschema.validators.validator_for(schema, default=jsonschema.Draft202012Validator)
        self._validator: SchemaCheck = validator(schema, registry=registry)

    def is_valid(self, instance: JsonValue) -> bool:
        """Whether `instance` is what the schema describes."""
        return self._validator.is_valid(instance)


def read_schema(path: Path) -> SchemaCheck:
    """The schema in `path`; RecipeError(CONFIG_INVALID) for a file that is absent, no JSON, or no schema."""
    jsonschema = require("jsonschema", extra="finetune", purpose="evaluate.tuned.json_schema")
    try:
        schema: JsonValue = json.loads(path.expanduser().read_text(encoding="utf-8"))
        if not isinstance(schema, dict | bool):
            raise ValueError("a schema is an object")
        jsonschema.validators.validator_for(schema, default=jsonschema.Draft202012Validator).check_schema(schema)
        checked = FileSchema(schema, jsonschema)
        checked.is_valid({})
    except OSError as error:
        raise _unusable(path, f"it cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise _unusable(path, f"it is no JSON: {error}") from error
    except jsonschema.exceptions.SchemaError as error:
        raise _unusable(path, f"it is no JSON schema: {error.message}") from error
    return checked


def _unusable(path: Path, why: str) -> RecipeError:
    return RecipeError(
        ErrorCode.CONFIG_INVALID,
        f"evaluate.tuned.json_schema: {path} cannot be used: {why}",
        "give a file with one JSON schema",
        details={"path": str(path)},
    )
