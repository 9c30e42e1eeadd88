"""Keys of the service: shown once, kept as a digest.

    lq_<id>_<secret>_<check>    id: 8 characters, secret: 43 of 62 letters (256 bits), check: CRC-32 of what is before

The check tells a mistyped or cut key, and scanners of leaked secrets, without asking the database. A secret of 256
random bits needs no slow hash: the digest is HMAC-SHA256 under a pepper that lies outside the database.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import string
import zlib
from dataclasses import dataclass

PREFIX = "lq"
LETTERS = string.ascii_letters + string.digits
ID_LENGTH, SECRET_LENGTH = 8, 43


@dataclass(frozen=True)
class ApiKey:
    """A whole key, as its owner has it."""

    id: str
    secret: str

    @property
    def text(self) -> str:
        """What is sent with a request."""
        body = f"{PREFIX}_{self.id}_{self.secret}"
        return f"{body}_{_check(body)}"

    def __repr__(self) -> str:
        return f"ApiKey({self.id!r})"


def new_key() -> ApiKey:
    """A key that nobody has had."""
    return ApiKey(_letters(ID_LENGTH), _letters(SECRET_LENGTH))


def parse_key(text: str) -> ApiKey | None:
    """The key that `text` is; None where it is none."""
    parts = text.split("_")
    if len(parts) != 4 or parts[0] != PREFIX or len(parts[1]) != ID_LENGTH or len(parts[2]) != SECRET_LENGTH:
        return None
    body = "_".join(parts[:3])
    if not body.isascii() or not hmac.compare_digest(_check(body).encode(), parts[3].encode("utf-8", "replace")):
        return None
    return ApiKey(parts[1], parts[2])


def key_digest(pepper: bytes, key: ApiKey) -> str:
    """What is kept of a key."""
    return hmac.new(pepper, f"{key.id}:{key.secret}".encode(), hashlib.sha256).hexdigest()


def same_digest(one: str, two: str) -> bool:
    """Compare in a time that tells nothing."""
    return hmac.compare_digest(one.encode(), two.encode())


def _letters(count: int) -> str:
    return "".join(secrets.choice(LETTERS) for _ in range(count))


def _check(body: str) -> str:
    return f"{zlib.crc32(body.encode()):08x}"
