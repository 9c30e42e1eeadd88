"""The files that https needs, looked at before anything listens."""

from __future__ import annotations

import ssl
from pathlib import Path

from loquela.core.errors import ErrorCode, RecipeError
from loquela.jobs.settings import ServiceSettings


def check_tls(settings: ServiceSettings) -> None:
    """Raise RecipeError(CONFIG_INVALID) for half a pair, a file that cannot be read, or two that do not fit."""
    certificate, key = settings.tls_certificate, settings.tls_key
    if certificate is None and key is None:
        return
    if certificate is None or key is None:
        raise RecipeError(
            ErrorCode.CONFIG_INVALID, "tls_certificate and tls_key go together", "give both files, or neither"
        )
    for name, path in (("tls_certificate", certificate), ("tls_key", key)):
        _check_readable(name, path)
    try:
        # Without an answer to the question for a password, OpenSSL would ask the terminal.
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key, password=lambda: "")
    except (ssl.SSLError, ValueError) as error:
        reason = error.reason if isinstance(error, ssl.SSLError) else ""
        if reason == "KEY_VALUES_MISMATCH":
            raise RecipeError(
                ErrorCode.CONFIG_INVALID,
                f"the key {key} is not that of the certificate {certificate}",
                "name the key that the certificate was made with",
            ) from error
        raise RecipeError(
            ErrorCode.CONFIG_INVALID,
            f"{certificate} and {key} are no pair of PEM files: {reason or 'the key needs a password'}",
            "the first holds the certificate and what it was signed by, the second its key, without a password",
        ) from error


def _check_readable(name: str, path: Path) -> None:
    try:
        path.open("rb").close()
    except OSError as error:
        raise RecipeError(
            ErrorCode.CONFIG_INVALID,
            f"{name}: {path} cannot be read: {error.strerror}",
            "name a PEM file that the service's user may read",
        ) from error
