"""What lies behind a connection as objects, for whoever reads bytes: files of this machine, and of buckets."""

from __future__ import annotations

from pathlib import Path

from loquela.core.errors import ErrorCode, RecipeError
from loquela.data.objects.buckets import open_bucket
from loquela.data.objects.local import is_pattern, local_object, matching_files, visible_files
from loquela.data.source_contract import SourceRequest
from loquela.data.source_object import SourceObject

BUCKETS = ("s3://", "gs://", "az://")


def connection_objects(request: SourceRequest) -> list[SourceObject]:
    """The objects of `request`, sorted by name.

    Raises RecipeError(INVALID_SOURCE) for a source of another kind, whose texts come through `Source.read`.
    """
    address = request.address
    if address.startswith(BUCKETS):
        bucket = open_bucket(request)
        found, _ = bucket.objects()
        return [bucket.source_object(meta, f"{bucket.name}/{meta['path']}") for meta in found]
    for prefix in ("file:", "folder:", "glob:"):
        address = address.removeprefix(prefix)
    path = Path(address).expanduser()
    if path.is_dir():
        return [local_object(file, str(file)) for file in visible_files(path)]
    if is_pattern(address):
        return [local_object(file, str(file)) for file in matching_files(address)]
    if path.exists():
        return [local_object(path, address)]
    raise RecipeError(
        ErrorCode.INVALID_SOURCE,
        f"{request.address} has no files to read in chunks",
        "connect to a file, a folder, a pattern or a bucket; other sources are read as texts, by a recipe",
    )
