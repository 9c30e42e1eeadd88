"""One entry of `data.sources` written out: an address and how to read what is there.

A plain string in the list is an entry with that address and every default. Options that only one kind of source has
stand in a section of their own.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field, JsonValue, SerializerFunctionWrapHandler, model_serializer

from loquela.core.model import BoundaryModel
from loquela.recipe.source_options.objects import ObjectOptions

SourceFormat = Literal[
    "auto",
    "txt",
    "json",
    "jsonl",
    "csv",
    "tsv",
    "parquet",
    "arrow",
    "warc",
    "html",
    "markdown",
    "pdf",
    "docx",
    "epub",
]


class SourceEntry(BoundaryModel):
    """A source: `name` tells two entries with the same address apart (two queries of one database)."""

    address: str = Field(min_length=1, description="file, folder, glob, builtin:stories, or <prefix>:…")
    name: str | None = Field(None, min_length=1, description="what ledger and lineage call it; null: the address")
    language: str | None = Field(
        None, pattern=r"^[a-z]{2,3}$", description="ISO 639 code of all its texts; null: unsaid"
    )
    format: SourceFormat = Field("auto", description="what its files are; auto: by content and name of each")
    encoding: str | None = Field(
        None, min_length=1, max_length=40, description="of its text files, if not UTF-8; null: found out and said"
    )
    text: str | None = Field(
        None, min_length=1, description="field or column that holds the text; null: the usual name that is there"
    )
    labels: list[str] = Field([], description="fields or columns to keep beside the text")
    split_by: str | None = Field(
        None, min_length=1, description="field or column; texts with one value fall on one side of the split"
    )
    objects: ObjectOptions | None = Field(None, description="of s3://, gs:// and az://")

    @property
    def key(self) -> str:
        """What identifies the entry within its recipe."""
        return self.name or self.address

    @model_serializer(mode="wrap")
    def _only_what_was_chosen(self, handler: SerializerFunctionWrapHandler) -> dict[str, JsonValue]:
        """Leave defaults out, so that a key added later changes neither a written recipe nor a digest."""
        written: dict[str, JsonValue] = handler(self)
        defaults: dict[str, JsonValue] = {
            name: field.get_default(call_default_factory=True) for name, field in type(self).model_fields.items()
        }
        return {key: value for key, value in written.items() if key == "address" or value != defaults[key]}
