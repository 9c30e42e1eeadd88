"""`s3://`, `gs://`, `az://` → objects: listed by prefix and pattern, read by range, resumed where a stream broke.

An object is read only as long as it is the one that was listed (its etag); where a server gives no etag, its size
and time stand in the fingerprint instead.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import BinaryIO

from loquela.core.errors import DataError, ErrorCode, LoquelaError, RecipeError
from loquela.data.objects.bucket_client import ObjectMeta, Setting, Store, connect, listing
from loquela.data.objects.bucket_errors import bucket_error
from loquela.data.objects.local import GLOB_SIGNS
from loquela.data.objects.streams import stream_of
from loquela.data.source_contract import SourceRequest
from loquela.data.source_object import SourceObject
from loquela.recipe.source_options.objects import ObjectOptions
from loquela.security.addresses import permitted_addresses
from loquela.security.credentials.lookup import Find
from loquela.security.http import checked_url

ADDRESS = re.compile(r"(s3|gs|az)://([A-Za-z0-9][A-Za-z0-9._-]{1,221})(?:/(.*))?", re.DOTALL)
STREAM_BYTES = 1 << 20
# Where each client looks for another endpoint than the cloud's: what is used must be what was checked.
ENDPOINT_VARIABLES = {
    "s3": ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT"),
    "gs": ("GOOGLE_BASE_URL",),
    "az": ("AZURE_STORAGE_ENDPOINT", "AZURE_ENDPOINT"),
}
ENDPOINT_KEYS = {"s3": "endpoint", "gs": "base_url", "az": "endpoint"}
# Credential kind → the settings that its fields are.
CREDENTIALS: dict[str, tuple[str, dict[str, str]]] = {
    "s3": (
        "key_pair",
        {"access_key_id": "access_key_id", "secret_access_key": "secret_access_key", "session_token": "session_token"},
    ),
    "gs": ("bearer", {"token": "bearer_token"}),
    "az": ("basic", {"username": "account_name", "password": "account_key"}),
}
CLOUDS = {"s3": "amazonaws.com", "gs": "storage.googleapis.com", "az": "blob.core.windows.net"}


@dataclass(frozen=True)
class Bucket:
    """A bucket and what of it is meant: `key` is an object, a prefix, or a pattern."""

    scheme: str
    bucket: str
    key: str
    store: Store
    retries: int

    @property
    def name(self) -> str:
        """The address of the bucket."""
        return f"{self.scheme}://{self.bucket}"

    def objects(self) -> tuple[list[ObjectMeta], bool]:
        """What is meant, sorted by key, and whether it is one object named by itself.

        Raises DataError(DATA_NOT_FOUND) for nothing, and what `bucket_error` makes of the client's errors.
        """
        try:
            if self.key and not self.key.endswith("/") and not GLOB_SIGNS.search(self.key):
                alone = self._alone()
                if alone is not None:
                    return [alone], True
            found = [meta for meta in listing(self.store, self._prefix()) if self._fits(meta["path"])]
        except LoquelaError:
            raise
        except Exception as error:
            raise bucket_error(error, f"{self.name}/{self.key}", self.scheme) from None
        if not found:
            raise DataError(
                ErrorCode.DATA_NOT_FOUND,
                f"there is no object {self.name}/{self.key}",
                "correct the address in data.sources (* stays within a folder, ** is any depth)",
                details={"source": f"{self.name}/{self.key}"},
            )
        return found, False

    def source_object(self, meta: ObjectMeta, name: str) -> SourceObject:
        """The object called `name` in ledger and lineage."""

        @contextmanager
        def open_at(offset: int) -> Iterator[BinaryIO]:
            with stream_of(self._pieces(meta, name, offset)) as stream:
                yield stream

        return SourceObject(name=name, open_at=open_at, size_bytes=meta["size"])

    def _alone(self) -> ObjectMeta | None:
        try:
            return self.store.head(self.key)
        except FileNotFoundError:
            return None

    def _prefix(self) -> str:
        sign = GLOB_SIGNS.search(self.key)
        return self.key[: sign.start()].rpartition("/")[0] if sign else self.key.rstrip("/")

    def _fits(self, key: str) -> bool:
        return not GLOB_SIGNS.search(self.key) or _pattern(self.key).fullmatch(key) is not None

    def _pieces(self, meta: ObjectMeta, name: str, offset: int) -> Iterator[bytes]:
        """The bytes from `offset` on; a stream that breaks goes on from where it broke."""
        failures = 0
        while offset < meta["size"]:
            options: dict[str, object] = {"range": {"offset": offset}}
            if meta["e_tag"]:
                options["if_match"] = meta["e_tag"]
            begun = False
            try:
                body = self.store.get(meta["path"], options=options).stream(STREAM_BYTES)
                begun = True
                for piece in body:
                    data = bytes(piece)
                    failures = 0
                    offset += len(data)
                    yield data
                if offset < meta["size"]:
                    raise ConnectionError("the body ended before its end")
            except Exception as error:
                problem = bucket_error(error, name, self.scheme)
                failures += 1
                # What fails before it begins was tried again by the client already.
                if not (begun and problem.retryable and failures <= self.retries):
                    raise problem from None
                time.sleep(min(5.0, 0.1 * 2**failures))
        if offset > meta["size"]:
            raise bucket_error(_LargerThanListed("PreconditionError"), name, self.scheme)


class _LargerThanListed(Exception):
    """More came than the listing said."""


def _pattern(key: str) -> re.Pattern[str]:
    """`*` and `?` within a path segment, `**` over any, `[…]` as in a shell."""
    out = ""
    position = 0
    while position < len(key):
        if key.startswith("**/", position):
            out, position = out + "(?:.*/)?", position + 3
        elif key.startswith("**", position):
            out, position = out + ".*", position + 2
        elif key[position] == "[" and "]" in key[position + 2 :]:
            end = key.index("]", position + 2)
            inside = key[position + 1 : end]
            negated = inside.startswith("!")
            signs = re.escape(inside[negated:]).replace("\\-", "-")
            out += f"[^/{signs}]" if negated else f"[{signs}]"
            position = end + 1
        else:
            out += {"*": "[^/]*", "?": "[^/]"}.get(key[position], re.escape(key[position]))
            position += 1
    return re.compile(out, re.DOTALL)


def open_bucket(request: SourceRequest) -> Bucket:
    """The bucket of the request's address; nothing is asked of it yet.

    Raises RecipeError: INVALID_SOURCE for an address that names no bucket or an endpoint that is not public,
    AUTH_FAILED for a credential of another kind; ResourceError(MISSING_EXTRA).
    """
    match = ADDRESS.fullmatch(request.address)
    if match is None:
        raise RecipeError(
            ErrorCode.INVALID_SOURCE,
            f"{request.address!r} names no bucket",
            "write it like s3://bucket/prefix/*.jsonl.gz",
        )
    scheme, bucket, key = match[1], match[2], match[3] or ""
    options = request.entry.objects or ObjectOptions()
    config = _settings(scheme, options)
    endpoint = options.endpoint or _from_environment(ENDPOINT_VARIABLES[scheme])
    if endpoint is not None:
        url = checked_url(endpoint)
        port = url.port or {"http": 80, "https": 443}[url.scheme]
        permitted_addresses(url.host, port, allow_private=request.section.allow_private_addresses)
        if url.scheme == "http" and not request.section.allow_private_addresses:
            raise _not_encrypted(endpoint)
        config[ENDPOINT_KEYS[scheme]] = endpoint
    if request.entry.credential is not None and not options.anonymous:
        host = checked_url(endpoint).host if endpoint else CLOUDS[scheme]
        config.update(_credential(request.find_credential, request.entry.credential, scheme, host))
    store = connect(
        scheme,
        bucket,
        config,
        timeout_seconds=request.section.timeout_seconds,
        retries=options.retries,
        plain_http=endpoint is not None and endpoint.startswith("http:"),
    )
    return Bucket(scheme, bucket, key, store, options.retries)


def _not_encrypted(endpoint: str) -> RecipeError:
    """The client follows redirects unchecked; over https none can lead to a metadata service or a plain server."""
    return RecipeError(
        ErrorCode.INVALID_SOURCE,
        f"the endpoint {endpoint} is not encrypted; buckets of the internet are read over https only",
        "write https://, or set data.allow_private_addresses: true if you mean a server of your own",
        details={"endpoint": endpoint},
    )


def _settings(scheme: str, options: ObjectOptions) -> dict[str, Setting]:
    others = {"region": "s3", "virtual_hosts": "s3", "account": "az"}
    for key, of in others.items():
        if getattr(options, key) and scheme != of:
            raise RecipeError(
                ErrorCode.CONFIG_INVALID,
                f"objects.{key} is of {of}://; it changes nothing for {scheme}://",
                f"remove objects.{key} from the source's entry",
            )
    config: dict[str, Setting] = {"skip_signature": True} if options.anonymous else {}
    if scheme == "s3":
        config["virtual_hosted_style_request"] = options.virtual_hosts
        if options.region:
            config["region"] = options.region
    if scheme == "az" and options.account:
        config["account_name"] = options.account
    return config


def _from_environment(names: tuple[str, ...]) -> str | None:
    return next((os.environ[name] for name in names if os.environ.get(name)), None)


def _credential(find: Find, name: str, scheme: str, host: str) -> dict[str, Setting]:
    kind, fields = CREDENTIALS[scheme]
    found = find(name)
    if found.kind != kind:
        raise RecipeError(
            ErrorCode.AUTH_FAILED,
            f"the credential {name!r} is of kind {found.kind}; {scheme}:// needs {kind}",
            f"keep one of that kind: loquela credentials set {name}",
            details={"credential": name},
        )
    found.permitted_for(host, name)
    return {setting: found.secret(field) for field, setting in fields.items() if found.secret(field)}
