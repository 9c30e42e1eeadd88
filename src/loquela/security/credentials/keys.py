"""The keys of the credential store: one that seals, and older ones that still open while a rotation is under way.

They come from LOQUELA_CREDENTIALS_KEY, else from the keyring (entry "credentials-key"), else from a file that is made
once. Each place holds base64 keys, one a line or separated by commas, the sealing one first.
"""

from __future__ import annotations

import base64
import binascii
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from loquela.core.atomic import write_text
from loquela.core.errors import ErrorCode, ResourceError
from loquela.security.credentials import system_keyring
from loquela.security.credentials.private_files import require_private
from loquela.security.credentials.sealing import KEY_BYTES, Key

KEY_VARIABLE = "LOQUELA_CREDENTIALS_KEY"
KEYRING_ENTRY = "credentials-key"
KEY_FILE_NAME = "credentials.key"


@dataclass(frozen=True)
class Keys:
    """`current` seals; `older` only open."""

    current: Key
    older: tuple[Key, ...] = ()

    def find(self, key_id: str) -> Key | None:
        """The key of that id."""
        return next((key for key in (self.current, *self.older) if key.id == key_id), None)

    @property
    def text(self) -> str:
        """One key a line, the sealing one first."""
        return "".join(f"{key.text}\n" for key in (self.current, *self.older))


class KeyPlace(Protocol):
    """Where the keys are kept."""

    def load(self) -> Keys:
        """The keys; a place that may make the first one does so."""

    def replace(self, keys: Keys) -> bool:
        """Keep these keys from now on; False where Loquela cannot write."""


class EnvironmentKeys:
    """Keys from the variable; whoever sets it rotates by putting the new key first."""

    def __init__(self, text: str) -> None:
        self._text = text

    def load(self) -> Keys:
        """The keys of the variable."""
        return parse_keys(self._text, KEY_VARIABLE)

    def replace(self, keys: Keys) -> bool:
        """Not possible: a process cannot change the environment that it was started in."""
        return False


class KeyringKeys:
    """Keys from the keyring of the desktop."""

    def __init__(self, text: str) -> None:
        self._text = text

    def load(self) -> Keys:
        """The keys of the entry."""
        return parse_keys(self._text, f"the keyring's entry {KEYRING_ENTRY}")

    def replace(self, keys: Keys) -> bool:
        """Write them back to the entry."""
        system_keyring.write(KEYRING_ENTRY, keys.text)
        self._text = keys.text
        return True


class FileKeys:
    """Keys from a file that only its owner can read."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def load(self) -> Keys:
        """The keys of the file, which is made with a fresh one if it is not there."""
        if not self.path.exists():
            self.replace(Keys(Key.fresh()))
        require_private(self.path)
        return parse_keys(self.path.read_text(encoding="ascii", errors="replace"), str(self.path))

    def replace(self, keys: Keys) -> bool:
        """Write the file anew, whole or not at all."""
        write_text(self.path, keys.text, mode=0o600)
        return True


def key_place(directory: Path) -> KeyPlace:
    """The place that holds the keys now: environment, keyring, file, in this order."""
    given = os.environ.get(KEY_VARIABLE, "").strip()
    if given:
        return EnvironmentKeys(given)
    kept = system_keyring.read(KEYRING_ENTRY)
    return KeyringKeys(kept) if kept else FileKeys(directory / KEY_FILE_NAME)


def parse_keys(text: str, place: str) -> Keys:
    """The keys in `text`; ResourceError(AUTH_FAILED) when it holds none or something else."""
    keys: list[Key] = []
    for part in text.replace(",", "\n").split():
        try:
            value = base64.b64decode(part, validate=True)
        except (binascii.Error, ValueError):
            raise _no_key(place) from None
        if len(value) != KEY_BYTES:
            raise _no_key(place)
        keys.append(Key(value))
    if not keys:
        raise _no_key(place)
    return Keys(keys[0], tuple(keys[1:]))


def _no_key(place: str) -> ResourceError:
    return ResourceError(
        ErrorCode.AUTH_FAILED,
        f"{place} holds no key of the credential store: {KEY_BYTES} bytes in base64 are wanted",
        "restore it from a copy; a new one (head -c 32 /dev/urandom | base64) opens nothing that was sealed before",
    )
