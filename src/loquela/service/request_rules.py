"""What a recipe may not ask for when it comes in a request: whoever sends it has a key, not the server.

A request may describe data, model and training. It may not say where the server's secrets go, which of them are used,
what its environment holds, which programs of it are run, or how many processes it starts without end.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pydantic import BaseModel

from loquela.core.errors import ErrorCode, RecipeError
from loquela.recipe.loading import ResolvedRecipe

# Where the service itself decides.
OWN_KEYS = ("output_directory", "resume_from_checkpoint", "skip_phases")
# A section that is not named here is the owner's alone, whatever it will be called.
SECTIONS = frozenset(
    (
        "schema_version name seed data tokenizer model train evaluate compute qa examples finetune export deploy "
        "track tracking"
    ).split()
)
# Beginning of keys → why they are not a request's to set.
REFUSED: Mapping[str, str] = {
    "data.allow_private_addresses": "it would open the server's own network",
    "data.gutenberg_mirror": "it would send the server to an address of the caller's choice",
    "data.validation.pii.key_environment": "it would read the server's environment",
    "qa.base_url": "it would send the server's key to an address of the caller's choice",
    "examples.augment.rewriting.base_url": "it would send the server's key to an address of the caller's choice",
    "tracking.uri": "it would write to a place of the caller's choice",
    "compute.data": "it would run other programs of the server",
    "compute.slurm": "it would run other programs of the server",
    "compute.cloud": "it would rent machines with the server's accounts",
}
# The same, inside the entries of `data.sources`.
REFUSED_IN_SOURCES: Mapping[str, str] = {
    "objects.endpoint": "it would send the server's key to an address of the caller's choice",
}
# Key → the largest number; a recipe of one's own may ask for thousands.
MOST: Mapping[str, int] = {"compute.processes": 16, "compute.data_workers": 64, "compute.loader_workers": 16}


def refusals(asked: ResolvedRecipe, credentials: list[str]) -> Iterator[RecipeError]:
    """RecipeError(CONFIG_INVALID) for everything in the recipe that no request may ask for.

    `credentials` are the names that requests may use.
    """
    given = [key for key, origin in asked.origins.items() if origin.kind not in ("default", "derived")]
    values = dict(_leaves(asked.recipe))
    for key in given:
        if key in OWN_KEYS:
            yield refused(key, "it is the service's to decide", f"leave {key} out")
        elif key.partition(".")[0] not in SECTIONS:
            yield refused(key, "it is the service owner's to decide", f"leave {key} out")
        why = next((why for part, why in REFUSED.items() if key == part or key.startswith(f"{part}.")), None)
        if why is not None:
            yield refused(key, why, f"leave {key} out")
    for key, most in MOST.items():
        number = values.get(key)
        if isinstance(number, int) and number > most:
            yield refused(key, f"a request may have {most} of them", f"write at most {most}")
    for key, value in _leaves(asked.recipe):
        ending = key.removeprefix("data.sources.")
        if value is not None and ending in REFUSED_IN_SOURCES:
            yield refused(key, REFUSED_IN_SOURCES[ending], "leave it out")
        if key.endswith("credential") and value is not None and value not in credentials:
            yield refused(
                key,
                f"the credential {value!r} is not among those that requests may use",
                "leave it out; the service's owner may name it in allowed_credentials",
            )


def refused(key: str, why: str, remedy: str) -> RecipeError:
    """The error for what a request may not ask for."""
    return RecipeError(ErrorCode.CONFIG_INVALID, f"{key}: {why}", remedy, details={"key": key})


def _leaves(value: object, prefix: str = "") -> Iterator[tuple[str, object]]:
    """(dotted key, value) of everything that is no model; the parts of a list stand under the list's own key."""
    if isinstance(value, BaseModel):
        for name in type(value).model_fields:
            yield from _leaves(getattr(value, name), f"{prefix}.{name}" if prefix else name)
    elif isinstance(value, list) and any(isinstance(part, BaseModel) for part in value):
        for part in value:
            yield from _leaves(part, prefix)
    else:
        yield prefix, value
