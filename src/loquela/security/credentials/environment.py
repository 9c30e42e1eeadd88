"""Credentials from variables: LOQUELA_CREDENTIAL_<NAME>, a token or a JSON object."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping

from loquela.security.credentials.credential import Credential, from_text

PREFIX = "LOQUELA_CREDENTIAL_"


def variable_of(name: str) -> str:
    """The variable that may hold the credential `name`: books-api → LOQUELA_CREDENTIAL_BOOKS_API."""
    return PREFIX + re.sub(r"[^A-Z0-9]", "_", name.upper())


def from_environment(name: str, environment: Mapping[str, str] | None = None) -> Credential | None:
    """The credential in its variable; None when that is unset or empty."""
    text = (os.environ if environment is None else environment).get(variable_of(name), "")
    return from_text(text, name) if text.strip() else None
