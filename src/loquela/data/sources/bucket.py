"""Objects in a bucket: `s3://bucket/prefix/*.jsonl.gz`, `gs://…`, `az://…`."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from loquela.data.content.texts import texts_of
from loquela.data.objects.bucket_client import ObjectMeta
from loquela.data.objects.buckets import Bucket, open_bucket
from loquela.data.source_contract import ObjectSize, SourceCheck, SourceFingerprint, SourceRequest, SourceText
from loquela.data.tally import Tally


class BucketSource:
    """One object, all below a prefix, or those that a pattern fits; sorted by key. Nothing is kept on disk."""

    def check(self, request: SourceRequest) -> SourceCheck:
        """The bucket answers and holds what is meant."""
        found, _ = open_bucket(request).objects()
        size = sum(meta["size"] for meta in found)
        return SourceCheck(
            address=request.address,
            size_bytes=size,
            texts=len(found),
            message=f"{request.address} holds {len(found):,} objects, {size:,} bytes",
        )

    def fingerprint(self, request: SourceRequest) -> SourceFingerprint:
        """Count, size, and one SHA-256 over keys, sizes and etags: what is listed, without reading it."""
        found, _ = open_bucket(request).objects()
        digest = hashlib.sha256()
        for meta in found:
            version = meta["e_tag"] or meta["last_modified"].isoformat()
            digest.update(f"{meta['path']}\t{meta['size']}\t{version}\n".encode())
        return SourceFingerprint(texts=len(found), bytes=sum(meta["size"] for meta in found), sha256=digest.hexdigest())

    def objects(self, request: SourceRequest) -> list[ObjectSize]:
        """The objects with their sizes."""
        bucket = open_bucket(request)
        found, _ = bucket.objects()
        return [ObjectSize(name=_name(bucket, meta, request), size_bytes=meta["size"]) for meta in found]

    def read(self, request: SourceRequest, tally: Tally) -> Iterator[SourceText]:
        """The texts; an object of no known kind is counted under "read"."""
        bucket = open_bucket(request)
        found, alone = bucket.objects()
        wanted = None if request.objects is None else frozenset(request.objects)
        for meta in found:
            name = _name(bucket, meta, request)
            if wanted is None or name in wanted:
                yield from texts_of(bucket.source_object(meta, name), request, tally, alone=alone)


def _name(bucket: Bucket, meta: ObjectMeta, request: SourceRequest) -> str:
    key = meta["path"]
    return f"{request.entry.name}/{key}" if request.entry.name else f"{bucket.name}/{key}"
