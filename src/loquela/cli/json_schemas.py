"""JSON Schema of a model that may hold what JSON cannot: tensors and bytes stay Python objects."""

from __future__ import annotations

from pydantic import BaseModel, JsonValue
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import CoreSchema

DIALECT = "https://json-schema.org/draft/2020-12/schema"


class _Tolerant(GenerateJsonSchema):
    def handle_invalid_for_json_schema(self, schema: CoreSchema, error_info: str) -> JsonSchemaValue:
        return {"description": "a Python object (tensor, callable or the like); not part of any JSON"}


def json_schema_of(model: type[BaseModel]) -> dict[str, JsonValue]:
    """The schema of `model`, with its dialect."""
    schema: dict[str, JsonValue] = model.model_json_schema(schema_generator=_Tolerant)
    return {"$schema": DIALECT, **schema}
