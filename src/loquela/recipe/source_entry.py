"""One entry of `data.sources` written out: an address and how to read what is there.

A plain string in the list is an entry with that address and every default. Options that only one kind of source has
stand in a section of their own.
"""

from __future__ import annotations

import re
from typing import Literal, Self

from pydantic import Field, JsonValue, SerializerFunctionWrapHandler, model_serializer, model_validator

from loquela.core.model import BoundaryModel
from loquela.recipe.secrets_in_recipes import REMEDY, secret_in
from loquela.recipe.source_options.api import ApiOptions
from loquela.recipe.source_options.database import DatabaseOptions
from loquela.recipe.source_options.huggingface import HuggingFaceOptions
from loquela.recipe.source_options.objects import ObjectOptions
from loquela.recipe.source_options.web import WebOptions

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

CREDENTIAL_NAME = r"^[a-z0-9][a-z0-9_.-]{0,63}$"
# Section of options → the addresses that it belongs to.
OPTION_PREFIXES = {
    "objects": ("s3:", "gs:", "az:"),
    "database": ("sqlite:", "postgresql:"),
    "api": ("api+https:", "api+http:"),
    "web": ("web+https:", "web+http:"),
    "huggingface": ("hf:",),
}
# Addresses whose texts have one known form → the keys that could change nothing there, and why.
FIXED_FORM = {
    "builtin:": (
        ("language", "format", "encoding", "text", "labels", "split_by", "credential"),
        "its texts are made here, in languages of their own",
    ),
    "gutenberg:": (
        ("format", "encoding", "text", "labels", "split_by", "credential"),
        "its books are plain text that anybody may read",
    ),
    "sqlite:": (("format", "encoding", "credential"), "its texts are rows of a query, in a file without a password"),
    "postgresql:": (("format", "encoding"), "its texts are rows of a query"),
    "api+": (("format", "encoding"), "its texts are items of JSON, which is UTF-8"),
    "web+": (("format", "encoding", "text", "split_by"), "its texts are web pages, which say their own encoding"),
    "hf:": (("format", "encoding"), "its texts are rows, which the library decodes"),
    **dict.fromkeys(
        ("file:", "folder:", "glob:"),
        (("credential",), "files here need none (data.documents.password_credential opens encrypted documents)"),
    ),
}
# An address without such a beginning is a path.
PREFIX = re.compile(r"[a-z][a-z0-9+.-]+:", re.IGNORECASE)
# What a web page may be labelled with.
PAGE_LABELS = {"title"}


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
    credential: str | None = Field(
        None,
        pattern=CREDENTIAL_NAME,
        description="name of the secret that opens it, kept with `loquela credentials set`; null: none",
    )
    objects: ObjectOptions | None = Field(None, description="of s3://, gs:// and az://")
    database: DatabaseOptions | None = Field(None, description="of sqlite:/// and postgresql://")
    api: ApiOptions | None = Field(None, description="of api+https://, or of https:// that answers with JSON")
    web: WebOptions | None = Field(None, description="of web+https://, or of https:// that is a web page")
    huggingface: HuggingFaceOptions | None = Field(None, description="of hf:")

    @property
    def key(self) -> str:
        """What identifies the entry within its recipe."""
        return self.name or self.address

    @model_validator(mode="before")
    @classmethod
    def _no_secret_and_one_kind(cls, given: JsonValue) -> JsonValue:
        """Before anything else is said of the entry, because what is said repeats values."""
        found = secret_in(given)
        if found is not None:
            raise ValueError(f"{found}, and a recipe is written into every run; {REMEDY}")
        name = given.get("credential") if isinstance(given, dict) else None
        if isinstance(name, str) and not re.fullmatch(CREDENTIAL_NAME, name):
            raise ValueError(f"credential is no name (small letters, digits, '-', '_', '.'); {REMEDY}")
        address = given.get("address") if isinstance(given, dict) else None
        if isinstance(given, dict) and isinstance(address, str) and address.startswith(("https:", "http:")):
            kinds = [kind for kind in ("api", "web") if given.get(kind) is not None]
            if len(kinds) == 1:
                return {**given, "address": f"{kinds[0]}+{address}"}
        return given

    @model_validator(mode="after")
    def _options_of_its_kind(self) -> Self:
        for section, prefixes in OPTION_PREFIXES.items():
            if getattr(self, section) is not None and not self.address.lower().startswith(prefixes):
                raise ValueError(
                    f"the options {section} are not of {self.address}; they belong to {', '.join(prefixes)}… addresses"
                )
        address = self.address.lower() if PREFIX.match(self.address) else f"file:{self.address}"
        for prefix, (keys, why) in FIXED_FORM.items():
            idle = [key for key in keys if getattr(self, key) != type(self).model_fields[key].get_default()]
            if idle and address.startswith(prefix):
                raise ValueError(f"{idle[0]} changes nothing for {self.address}: {why}; remove it")
        unknown = sorted(set(self.labels) - PAGE_LABELS) if self.address.lower().startswith("web+") else []
        if unknown:
            raise ValueError(f"web pages have no {unknown[0]!r} to label with; write labels: [title]")
        return self

    @model_serializer(mode="wrap")
    def _only_what_was_chosen(self, handler: SerializerFunctionWrapHandler) -> dict[str, JsonValue]:
        """Leave defaults out, so that a key added later changes neither a written recipe nor a digest."""
        written: dict[str, JsonValue] = handler(self)
        defaults: dict[str, JsonValue] = {
            name: field.get_default(call_default_factory=True) for name, field in type(self).model_fields.items()
        }
        return {key: value for key, value in written.items() if key == "address" or value != defaults[key]}
