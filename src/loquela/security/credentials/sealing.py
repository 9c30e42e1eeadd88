"""AES-256-GCM: what is sealed opens only with its key, unchanged, and for the identity that it was sealed for.

NIST SP 800-38D: 96-bit nonce, drawn afresh for every sealing, 128-bit tag. The identity is associated data: a box that
is put under another name does not open.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
from dataclasses import dataclass, field

from loquela.core import extras
from loquela.core.errors import DataError, ErrorCode

KEY_BYTES = 32
NONCE_BYTES = 12
KEY_ID_DIGITS = 16


@dataclass(frozen=True)
class Key:
    """256 bits; `id` tells keys apart without telling the key (it is cut from its SHA-256)."""

    value: bytes = field(repr=False)

    @property
    def id(self) -> str:
        """Names the key."""
        return hashlib.sha256(self.value).hexdigest()[:KEY_ID_DIGITS]

    @property
    def text(self) -> str:
        """The key itself, in base64."""
        return base64.b64encode(self.value).decode("ascii")

    @staticmethod
    def fresh() -> Key:
        """A key from the system's random source."""
        return Key(secrets.token_bytes(KEY_BYTES))


def seal(key: Key, plain: bytes, identity: str) -> bytes:
    """Nonce and ciphertext of `plain`; ResourceError(MISSING_EXTRA) without the package cryptography."""
    extras.require("cryptography", extra="data", purpose="keeping credentials encrypted")
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    nonce = secrets.token_bytes(NONCE_BYTES)
    return nonce + AESGCM(key.value).encrypt(nonce, plain, identity.encode("utf-8"))


def unseal(key: Key, box: bytes, identity: str, what: str) -> bytes:
    """What `box` holds; DataError(CORRUPTION) naming `what` when it was changed or moved, or the key is another."""
    extras.require("cryptography", extra="data", purpose="keeping credentials encrypted")
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    try:
        return AESGCM(key.value).decrypt(box[:NONCE_BYTES], box[NONCE_BYTES:], identity.encode("utf-8"))
    except (InvalidTag, ValueError):
        raise DataError(
            ErrorCode.CORRUPTION,
            f"{what} does not open: it was changed, moved from another name, or sealed with another key",
            "set it again: loquela credentials set NAME",
        ) from None
