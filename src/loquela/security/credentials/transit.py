"""Credentials on the way: sealed by whoever may seal, for one endpoint, opened where the connection is made."""

from __future__ import annotations

import base64
import binascii

from loquela.core.errors import ErrorCode, RecipeError
from loquela.security.credentials.credential import Credential, from_text, to_text
from loquela.security.credentials.keys import KeyPlace, key_place
from loquela.security.credentials.private_files import config_directory, make_private_directory
from loquela.security.credentials.sealing import Key, seal, unseal

VERSION = "v1"


def sealed_for(credential: Credential, endpoint: str, keys: KeyPlace | None = None) -> str:
    """`credential` as text that only opens for `endpoint`, with the key of this machine's store."""
    key = _place(keys).load().current
    box = seal(key, to_text(credential).encode("utf-8"), _identity(endpoint, key))
    return f"{VERSION}.{key.id}.{base64.urlsafe_b64encode(box).decode('ascii')}"


def unsealed_for(text: str, endpoint: str, keys: KeyPlace | None = None) -> Credential:
    """The credential in `text`; RecipeError(AUTH_FAILED) when it is none, or for another endpoint or machine."""
    version, _, rest = text.partition(".")
    key_id, _, encoded = rest.partition(".")
    key = _place(keys).load().find(key_id) if version == VERSION else None
    if key is None:
        raise _refused(endpoint, "it was not sealed with a key of this machine")
    try:
        box = base64.b64decode(encoded, altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise _refused(endpoint, "it is damaged") from None
    plain = unseal(key, box, _identity(endpoint, key), f"the sealed credential for {endpoint}")
    return from_text(plain.decode("utf-8"), endpoint)


def _place(keys: KeyPlace | None) -> KeyPlace:
    if keys is not None:
        return keys
    make_private_directory(config_directory())
    return key_place(config_directory())


def _identity(endpoint: str, key: Key) -> str:
    return f"loquela.connection.v1\n{endpoint}\n{key.id}"


def _refused(endpoint: str, why: str) -> RecipeError:
    return RecipeError(
        ErrorCode.AUTH_FAILED,
        f"the sealed credential for {endpoint} does not open: {why}",
        "seal it again for this endpoint, or name one that is stored (auth_type: stored)",
        details={"endpoint": endpoint},
    )
