"""The provider that a recipe names, with its credential from the environment or the credential store."""

from __future__ import annotations

import os
from collections.abc import Mapping
from urllib.parse import urlsplit

from loquela.core.errors import ErrorCode, RecipeError, ResourceError
from loquela.data.qa.providers import openai
from loquela.data.qa.providers.anthropic import DEFAULT_ENDPOINT as ANTHROPIC_ENDPOINT
from loquela.data.qa.providers.anthropic import AnthropicProvider
from loquela.data.qa.providers.contract import BatchProvider, Provider
from loquela.data.qa.providers.models import ModelFacts, model_facts, model_name
from loquela.data.qa.providers.offline import ENDPOINT as OFFLINE_ENDPOINT
from loquela.data.qa.providers.offline import OfflineProvider
from loquela.recipe.model_access import ModelAccess
from loquela.security.credentials import lookup

VARIABLES = {"anthropic": "ANTHROPIC_API_KEY", "openai": "OPENAI_API_KEY"}
LOOPBACK = ("127.0.0.1", "::1", "localhost")


def endpoint_of(section: ModelAccess) -> str:
    """The address that requests go to."""
    if section.provider == "offline":
        return OFFLINE_ENDPOINT
    return section.base_url or (ANTHROPIC_ENDPOINT if section.provider == "anthropic" else openai.DEFAULT_ENDPOINT)


def facts_of(section: ModelAccess, *more: str | None) -> dict[str, ModelFacts]:
    """Prices and habits of the section's model and of `more`; RecipeError(CONFIG_INVALID) without a known price."""
    return {model: model_facts(section, model) for model in (model_name(section), *more) if model is not None}


def open_provider(section: ModelAccess, facts: Mapping[str, ModelFacts]) -> Provider:
    """The provider, ready to be asked.

    Raises ResourceError(MISSING_EXTRA) without its SDK, ResourceError(AUTH_FAILED) without a credential, RecipeError
    (AUTH_FAILED) for a stored one that is not there, RecipeError(INVALID_SOURCE) for a credential sent in the clear.
    """
    if section.provider == "offline":
        return OfflineProvider()
    key = _key(section)
    _check_address(section, key)
    if section.provider == "anthropic":
        return AnthropicProvider(key, section.base_url, section.timeout_seconds, facts)
    return openai.OpenAIProvider(key, section.base_url, section.timeout_seconds, facts)


def open_batch_provider(section: ModelAccess, facts: Mapping[str, ModelFacts]) -> BatchProvider:
    """The same for `batch`, which only Anthropic offers."""
    key = _key(section)
    _check_address(section, key)
    return AnthropicProvider(key, section.base_url, section.timeout_seconds, facts)


def _key(section: ModelAccess) -> str:
    if section.credential is not None:
        credential = lookup.get(section.credential)
        host = urlsplit(endpoint_of(section)).hostname
        if credential.kind != "bearer" or credential.host not in (None, host):
            raise RecipeError(
                ErrorCode.AUTH_FAILED,
                f"the credential {section.credential!r} cannot be used for {host}: it must be a bearer token"
                + ("" if credential.host is None else f", and it is for {credential.host} only"),
                "keep the API key under another name: loquela credentials set NAME, then "
                f"{section.place}.credential: NAME",
                details={"credential": section.credential},
            )
        return credential.secret("token")
    variable = VARIABLES[section.provider]
    found = os.environ.get(variable, "").strip()
    if found:
        return found
    if section.provider == "openai" and section.base_url is not None:
        return openai.NO_KEY
    raise ResourceError(
        ErrorCode.AUTH_FAILED,
        f"there is no credential for {endpoint_of(section)}: the variable {variable} is not set",
        f"set {variable}, or keep the key (loquela credentials set NAME) and write {section.place}.credential: NAME"
        + ("; qa.provider: offline needs none" if section.place == "qa" else ""),
        details={"variable": variable},
    )


def _check_address(section: ModelAccess, key: str) -> None:
    address = urlsplit(endpoint_of(section))
    if address.scheme == "http" and address.hostname not in LOOPBACK and key != openai.NO_KEY:
        raise RecipeError(
            ErrorCode.INVALID_SOURCE,
            f"{section.place}.base_url {address.scheme}://{address.netloc} would carry the credential over the network "
            "in the clear",
            "use https://, or a server on this machine",
        )
