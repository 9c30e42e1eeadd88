"""The keyring of the desktop, where one is installed and open; an absent or locked one holds nothing."""

from __future__ import annotations

import importlib.util

SERVICE = "loquela"


def read(name: str) -> str | None:
    """What the keyring keeps under `name`; None without a keyring, without an entry, or when it is locked."""
    if importlib.util.find_spec("keyring") is None:
        return None
    import keyring
    from keyring.errors import KeyringError

    try:
        return keyring.get_password(SERVICE, name)
    except KeyringError:
        # No usable keyring, as on a server: the other places are asked.
        return None


def write(name: str, text: str) -> None:
    """Keep `text` under `name` in the keyring that `read` found it in."""
    import keyring

    keyring.set_password(SERVICE, name, text)
