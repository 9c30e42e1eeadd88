"""Is every source reachable, before anything is written?"""

from __future__ import annotations

from loquela.artifacts.proof import Proof
from loquela.core.errors import LoquelaError
from loquela.data.access.source_registry import source_for
from loquela.data.corpus.fingerprint import downloads_directory
from loquela.data.corpus.ingest import requests
from loquela.data.source_contract import SourceRequest
from loquela.recipe.schema import Recipe


def check_sources(recipe: Recipe) -> list[Proof]:
    """One proof a source, with its size where it is known; a failing one carries the source's error."""
    downloads = downloads_directory(recipe.output_directory)
    return [_check(request) for request in requests(recipe.data, downloads, recipe.data.seed)]


def _check(request: SourceRequest) -> Proof:
    name = f"source {request.address}"
    try:
        found = source_for(request.address).check(request)
    except LoquelaError as error:
        return Proof(
            name=name, passed=False, message=error.message, remedy=error.remedy, code=error.code, numbers=error.details
        )
    return Proof(
        name=name,
        passed=True,
        message=found.message,
        numbers={"size_bytes": found.size_bytes, "texts": found.texts},
    )
