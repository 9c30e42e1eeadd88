"""Finds the source that serves an entry of `data.sources`, by its prefix."""

from __future__ import annotations

import re
from pathlib import Path

from loquela.core.registry import Registry
from loquela.data.objects.local import is_pattern
from loquela.data.source_contract import Source

SOURCES: Registry[Source] = Registry("source", "loquela.sources")
SOURCES.register("file", "loquela.data.sources.file:FileSource")
SOURCES.register("folder", "loquela.data.sources.folder:FolderSource")
SOURCES.register("glob", "loquela.data.sources.pattern:PatternSource")
for bucket_prefix in ("s3", "gs", "az"):
    SOURCES.register(bucket_prefix, "loquela.data.sources.bucket:BucketSource")
SOURCES.register("builtin", "loquela.data.sources.builtin:BuiltinSource")
SOURCES.register("http", "loquela.data.sources.http:HttpSource")
SOURCES.register("https", "loquela.data.sources.http:HttpSource")
SOURCES.register("gutenberg", "loquela.data.sources.gutenberg:GutenbergSource")
SOURCES.register("sqlite", "loquela.data.sources.database:DatabaseSource")
SOURCES.register("postgresql", "loquela.data.sources.database:DatabaseSource")
SOURCES.register("api+https", "loquela.data.sources.api:ApiSource")
SOURCES.register("api+http", "loquela.data.sources.api:ApiSource")
SOURCES.register("web+https", "loquela.data.sources.web:WebSource")
SOURCES.register("web+http", "loquela.data.sources.web:WebSource")
SOURCES.register("hf", "loquela.data.sources.huggingface:HuggingFaceSource")

# Two letters at least: "C:\texts" is a path.
PREFIX = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):")


def source_for(address: str) -> Source:
    """The source registered for `address`; RecipeError(NOT_REGISTERED) names the nearest prefix when there is none."""
    prefix = PREFIX.match(address)
    path = Path(address).expanduser()
    if prefix is None or path.exists():
        kind = "folder" if path.is_dir() else "glob" if is_pattern(address) else "file"
        return SOURCES.get(kind)
    return SOURCES.get(prefix[1].lower())
