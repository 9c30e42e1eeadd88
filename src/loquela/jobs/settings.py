"""Settings of service and worker: defaults < TOML file < .env < environment (LOQUELA_…) < options."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

from dotenv import dotenv_values
from pydantic import Field, JsonValue

from loquela.artifacts.store.places import StorePlace
from loquela.core.layered_settings import Layer, layer_of_file, settings_of
from loquela.core.model import BoundaryModel
from loquela.jobs.database import shown, sqlite_url
from loquela.security.credentials.reference import resolved

SETTINGS_NAME = "service.toml"
ENVIRONMENT_PREFIX = "LOQUELA_"
DEFAULT_DATA = Path("loquela-data")


class ServiceSettings(BoundaryModel):
    """Everything that can be set. A URL may be `credential:<name>`: then the stored credential is the URL."""

    data: Path = Field(DEFAULT_DATA, description="folder of everything: runs, artifacts, files, database, keys")
    database_url: str | None = Field(None, description="postgresql://… or sqlite:///…; null: a file in the data folder")
    redis_url: str | None = Field(None, description="redis://…: bells and published facts; null: workers poll")
    host: str = Field("127.0.0.1", description="address to listen on")
    port: int = Field(8040, ge=0, le=65535, description="0: any free one")
    allowed_hosts: list[str] = Field(
        [], description="names that requests may be addressed to, beside localhost and the address listened on"
    )
    allowed_origins: list[str] = Field([], description="web pages that may ask, beside the service's own")
    tls_certificate: Path | None = Field(None, description="PEM file; with tls_key the service speaks https")
    tls_key: Path | None = Field(None, description="PEM file of the certificate's key")
    workers: int = Field(1, ge=0, le=64, description="worker processes beside the API; 0: they are started elsewhere")
    max_body_bytes: int = Field(2**20, ge=1024, le=2**30, description="of a request that is no upload")
    max_upload_bytes: int = Field(512 * 2**20, ge=1024, le=2**40, description="of an uploaded file")
    max_streams: int = Field(64, ge=1, le=10_000, description="open event streams at once")
    max_streams_per_key: int = Field(16, ge=1, le=10_000, description="of one key")
    reads_per_minute: int = Field(3000, ge=0, description="requests of a key that read; 0: any number")
    writes_per_minute: int = Field(300, ge=0, description="requests of a key that change something; 0: any number")
    inferences_per_minute: int = Field(600, ge=0, description="requests of a key for text or measures; 0: any number")
    failures_per_minute: int = Field(30, ge=0, description="refused attempts from an address; 0: any number")
    max_queued_jobs: int = Field(10_000, ge=1, le=1_000_000, description="jobs of one owner that wait at once")
    allowed_sources: list[Annotated[str, Field(min_length=1)]] = Field(
        ["builtin:", "gutenberg:", "https:"],
        description="beginnings of data sources that requests may name, beside uploads and the folder corpus/",
    )
    allowed_credentials: list[Annotated[str, Field(min_length=1)]] = Field(
        [], description="names of stored credentials that requests may use"
    )
    fine_tuning_recipe: Path | None = Field(
        None, description="recipe file that fine-tuning jobs in OpenAI's format start from; null: the defaults"
    )
    log_level: Literal["debug", "info", "warning", "error", "critical"] = Field(
        "info", description="least that system.log keeps"
    )
    log_format: Literal["json", "text"] = Field("json", description="of the lines in the folder logs/ and on stderr")
    log_stderr: bool = Field(False, description="write the log lines to stderr too, for containers")
    log_texts: bool = Field(False, description="llm_interaction.log keeps prompts and answers, not only their sizes")
    alerts_file: Path | None = Field(
        None, description="TOML file of alert rules and channels; null: alerts.toml in the data folder, if there"
    )
    lease_seconds: float = Field(30.0, gt=0, le=3600, description="a silent worker loses its job after this")
    beat_seconds: float = Field(2.0, gt=0, le=600, description="between two heartbeats of a job")
    grace_seconds: float = Field(120.0, gt=0, le=86_400, description="a trainer has to save when it is asked to stop")
    archive_runs: bool = Field(True, description="every run that has succeeded is stored as a tarball, by its SHA-256")
    artifact_url: str | None = Field(
        None, description="where tarballs lie: s3://bucket/prefix, an absolute path, or null: the data folder"
    )
    artifact_endpoint_url: str | None = Field(None, description="of an S3-compatible server that is not AWS")
    artifact_credential: str | None = Field(
        None, description="name of a kept credential (key_pair) for the bucket; null: the AWS variables"
    )
    cleanup_enabled: bool = Field(False, description="stored runs lose their heavy folders here, by themselves")
    cleanup_dry_run: bool = Field(False, description="only tell what would be removed")
    cleanup_grace_period_seconds: float = Field(
        86_400.0, ge=0, description="a run is left as it is so long after it was stored, and after it was last needed"
    )
    cleanup_min_free_bytes: int | None = Field(
        None, ge=0, description="runs are cleaned only while less than this is free; null: all that may be"
    )
    corpus_cache_max_bytes: int | None = Field(
        None, ge=0, description="prepared data beyond this goes, what was not used for longest first; null: no limit"
    )
    corpus_cache_min_free_bytes: int | None = Field(
        None, ge=0, description="prepared data goes while less than this is free; null: never for that"
    )
    tokenizer_min_unused_days: float | None = Field(
        None, ge=0, description="tokenizers that no model was made with go after this; null: never"
    )

    @property
    def artifact_place(self) -> StorePlace:
        """Where tarballs lie."""
        return StorePlace(
            url=self.artifact_url, endpoint_url=self.artifact_endpoint_url, credential=self.artifact_credential
        )

    @property
    def database(self) -> str:
        """The URL of the database in use."""
        return resolved(self.database_url) if self.database_url else sqlite_url(self.data / "service.db")

    @property
    def redis(self) -> str | None:
        """The URL of Redis, where there is one."""
        return resolved(self.redis_url) if self.redis_url else None

    @property
    def shown_database(self) -> str:
        """The same for people: without a password."""
        return shown(self.database)

    @property
    def corpus(self) -> Path:
        """The folder whose files requests may name as sources."""
        return self.data / "corpus"


def load_settings(
    file: Path | None, environment: Mapping[str, str], given: Mapping[str, JsonValue] | None = None
) -> ServiceSettings:
    """The settings in force: `file` (where there is one), `.env` beside the working directory, environment, `given`.

    Raises RecipeError(CONFIG_INVALID) naming the file or variable, the key and what it may be.
    """
    dot_env = {key: value for key, value in dotenv_values(".env").items() if value is not None}
    layers: list[Layer] = [
        *([layer_of_file(file, ServiceSettings, "correct or remove that line")] if file is not None else []),
        (".env", _of_environment(dot_env)),
        ("the environment", _of_environment(environment)),
        ("an option", given or {}),
    ]
    return settings_of(ServiceSettings, layers, "loquela serve --help")


def _of_environment(environment: Mapping[str, str]) -> dict[str, JsonValue]:
    """LOQUELA_<KEY> for each key there is; other variables of that beginning belong to recipes."""
    found: dict[str, JsonValue] = {}
    for key in ServiceSettings.model_fields:
        text = environment.get(ENVIRONMENT_PREFIX + key.upper())
        # Compose and the like write what is not given as nothing.
        if text:
            found[key] = _value(key, text)
    return found


def _value(key: str, text: str) -> JsonValue:
    """Lists are JSON, or words between commas; everything else is read as its type."""
    if not isinstance(ServiceSettings.model_fields[key].get_default(call_default_factory=True), list):
        return text
    if text.startswith("["):
        try:
            parsed: JsonValue = json.loads(text)
        except ValueError:
            return text
        return parsed
    return [part.strip() for part in text.split(",") if part.strip()]
