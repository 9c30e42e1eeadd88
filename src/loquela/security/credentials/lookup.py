"""The one door to credentials: `get("books")` asks the environment, the keyring and the store, in this order."""

from __future__ import annotations

from collections.abc import Callable

from loquela.core.errors import ErrorCode, RecipeError
from loquela.core.near_names import nearest
from loquela.security.credentials import system_keyring
from loquela.security.credentials.credential import Credential, from_text, require_name
from loquela.security.credentials.environment import from_environment, variable_of
from loquela.security.credentials.store import CredentialStore

Find = Callable[[str], Credential]


def get(name: str, store: CredentialStore | None = None) -> Credential:
    """The credential called `name`, kept by the first place that has it.

    Raises RecipeError(AUTH_FAILED) when none has, or when it is no whole credential; errors of the store.
    """
    require_name(name)
    found = from_environment(name)
    if found is not None:
        return found
    kept = system_keyring.read(name)
    if kept is not None:
        return from_text(kept, name)
    place = store if store is not None else CredentialStore()
    stored = place.get(name)
    if stored is not None:
        return stored
    near = nearest(name, [known.name for known in place.listed()])
    raise RecipeError(
        ErrorCode.AUTH_FAILED,
        f"there is no credential {name!r}" + (f"; did you mean {near!r}?" if near else ""),
        f"keep it: loquela credentials set {name} (or set the variable {variable_of(name)})",
        details={"credential": name},
    )
