"""Files, buckets, archives → objects: bytes that can be opened at an offset, unpacked, within limits.

local.py, buckets.py     where they lie: on this machine; in s3://, gs://, az://
streams.py               iterators as files, files that seek, the first bytes without losing them
compression.py           gz, zst, bz2, xz as one stream
archives.py              zip and tar: each member an object
unpacking.py             an object as it lies → the objects inside it, one level deep
"""
