import pytest
from pydantic import SecretStr

from loquela.core.errors import ErrorCode, RecipeError
from loquela.jobs.settings import ServiceSettings
from loquela.security.credentials.credential import Credential
from loquela.security.credentials.reference import resolved
from loquela.security.credentials.store import CredentialStore


def found(name):
    if name == "pair":
        return Credential(kind="basic", secrets={"username": SecretStr("u"), "password": SecretStr("p")})
    return Credential(kind="bearer", secrets={"token": SecretStr(f"the secret {name}")})


def test_what_is_no_reference_is_itself():
    assert resolved("postgresql://x/y", found) == "postgresql://x/y"


def test_a_reference_is_the_token_that_it_names():
    assert resolved("credential:database", found) == "the secret database"


def test_a_pair_is_no_setting():
    with pytest.raises(RecipeError, match="'pair' is no token but of kind basic") as caught:
        resolved("credential:pair", found)
    assert caught.value.code is ErrorCode.AUTH_FAILED


def test_a_settings_url_comes_from_the_store_and_is_not_kept_in_the_settings(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setenv("LOQUELA_CREDENTIALS_KEY", "")
    CredentialStore().put("service-db", found("postgresql://u:hidden@h/n"))
    settings = ServiceSettings(database_url="credential:service-db", redis_url="credential:service-db")
    assert settings.database == settings.redis == "the secret postgresql://u:hidden@h/n"
    assert "hidden" not in settings.model_dump_json()
    with pytest.raises(RecipeError, match="there is no credential 'nothing'"):
        _ = ServiceSettings(database_url="credential:nothing").database


def test_a_url_in_the_environment_works_as_before():
    assert ServiceSettings(redis_url="redis://h").redis == "redis://h"
    assert ServiceSettings().redis is None
