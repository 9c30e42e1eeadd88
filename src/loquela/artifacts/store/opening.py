"""Which store an address means."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

from loquela.artifacts.store.bucket_client import connect
from loquela.artifacts.store.bucket_store import BucketStore
from loquela.artifacts.store.contract import ArtifactStore
from loquela.artifacts.store.folder_store import FolderStore
from loquela.artifacts.store.places import StorePlace
from loquela.core.errors import ErrorCode, RecipeError
from loquela.security.credentials import lookup

DEFAULT_FOLDER = "artifacts"
KEY_PAIR = ("access_key_id", "secret_access_key", "session_token")
BUCKET = re.compile(r"s3://([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?:/([A-Za-z0-9/_.=-]*))?")
ENDPOINTS = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT")
REGIONS = ("AWS_REGION", "AWS_DEFAULT_REGION")
ANY_REGION = "us-east-1"
TIMEOUT_SECONDS = 20.0


def open_place(place: StorePlace, data: Path) -> ArtifactStore:
    """The store at `place`; its default is below the data folder.

    Raises RecipeError: CONFIG_INVALID for an address that is none, AUTH_FAILED for a credential that is not there.
    """
    keys = None if place.credential is None else _keys(place.credential)
    return open_store(place.url, data / DEFAULT_FOLDER, endpoint=place.endpoint_url, keys=keys)


def open_store(
    address: str | None,
    folder: Path,
    *,
    endpoint: str | None = None,
    keys: Mapping[str, str] | None = None,
    environment: Mapping[str, str] | None = None,
) -> ArtifactStore:
    """The store at `address`: s3://bucket/prefix, an absolute path, or without one `folder`.

    `keys` are access_key_id, secret_access_key and perhaps session_token; what is not given is in the AWS variables.
    Raises RecipeError(CONFIG_INVALID) for another address. Nothing is asked of a bucket yet.
    """
    if address is None:
        return FolderStore(folder)
    if address.startswith("/"):
        return FolderStore(Path(address))
    found = BUCKET.fullmatch(address)
    if found is None:
        raise RecipeError(
            ErrorCode.CONFIG_INVALID,
            f"artifact_url: {address!r} is no place for artifacts",
            "write s3://bucket/prefix, or the absolute path of a folder",
        )
    bucket, prefix = found[1], (found[2] or "").strip("/")
    variables = os.environ if environment is None else environment
    url = endpoint or next((variables[name] for name in ENDPOINTS if variables.get(name)), None)
    config = dict(keys or {})
    if url is not None:
        config["endpoint"] = url
    if not any(variables.get(name) for name in REGIONS):
        config["region"] = ANY_REGION
    plain_http = url is not None and url.startswith("http://")
    client = connect(bucket, prefix, config, plain_http=plain_http, timeout_seconds=TIMEOUT_SECONDS)
    return BucketStore(client, f"s3://{bucket}/{prefix}".rstrip("/"))


def _keys(name: str) -> dict[str, str]:
    found = lookup.get(name)
    if found.kind != "key_pair":
        raise RecipeError(
            ErrorCode.AUTH_FAILED,
            f"artifact_credential: {name!r} is of kind {found.kind}; a bucket needs a key_pair",
            f"keep one of that kind: loquela credentials set {name}",
            details={"credential": name},
        )
    return {field: found.secret(field) for field in KEY_PAIR if found.secret(field)}
