"""Credentials: where they come from, that they are sealed under their name, and that nothing tells them."""

from __future__ import annotations

import base64
import os
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import keyring
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keyring.backend import KeyringBackend
from keyring.backends.fail import Keyring as NoKeyring
from pydantic import SecretStr

from loquela.core.errors import DataError, ErrorCode, LoquelaError, RecipeError, ResourceError
from loquela.security.credentials import lookup
from loquela.security.credentials.credential import Credential, from_text, to_text
from loquela.security.credentials.keys import FileKeys, Keys, key_place, parse_keys
from loquela.security.credentials.sealing import Key, seal, unseal
from loquela.security.credentials.store import CredentialStore

SESAME = "opensesame-42"


class MemoryKeyring(KeyringBackend):
    priority = 1

    def __init__(self) -> None:
        super().__init__()
        self.kept: dict[tuple[str, str], str] = {}

    def get_password(self, service: str, username: str) -> str | None:
        return self.kept.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self.kept[service, username] = password


@pytest.fixture(autouse=True)
def no_other_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    for name in [name for name in os.environ if name.startswith("LOQUELA_CREDENTIAL")]:
        monkeypatch.delenv(name)
    before = keyring.get_keyring()
    keyring.set_keyring(NoKeyring())
    yield
    keyring.set_keyring(before)


def _token(text: str = SESAME) -> Credential:
    return Credential(kind="bearer", secrets={"token": SecretStr(text)})


def _rows(store: CredentialStore, sql: str, *values: object) -> list[tuple]:
    with closing(sqlite3.connect(store.path)) as connection, connection:
        return connection.execute(sql, values).fetchall()


# ── forms ─────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("text", "kind", "fields"),
    [
        (SESAME, "bearer", {"token": SESAME}),
        (f" {SESAME}\n", "bearer", {"token": SESAME}),
        ('{"kind": "basic", "username": "u", "password": "p"}', "basic", {"username": "u", "password": "p"}),
        ('{"kind": "header", "header": "X-Key", "value": "v"}', "header", {"header": "X-Key", "value": "v"}),
        (
            '{"kind": "key_pair", "access_key_id": "a", "secret_access_key": "s", "session_token": "t"}',
            "key_pair",
            {"access_key_id": "a", "secret_access_key": "s", "session_token": "t"},
        ),
    ],
)
def test_forms(text: str, kind: str, fields: dict[str, str]) -> None:
    found = from_text(text, "x")
    assert found.kind == kind
    assert {name: found.secret(name) for name in fields} == fields
    assert from_text(to_text(found), "x") == found
    assert found.secret("absent") == ""


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"kind": "basic", "username": "u", "opensesame-42": 1}', "it is no whole credential of kind bearer, basic"),
        ('{"kind": "basic", "username": "opensesame-42", "password": ""}', "it is no whole credential"),
        ('{"kind": "magic", "token": "opensesame-42"}', "it is no whole credential"),
        ('{"kind": "bearer", "token": "opensesame-42"', "its JSON is broken"),
        ("opensesame-42\nX-Injected: yes", "it is no whole credential"),
    ],
)
def test_bad_forms_do_not_tell_the_secret(text: str, said: str) -> None:
    with pytest.raises(RecipeError, match=f"the credential 'books' cannot be used: {said}") as caught:
        from_text(text, "books")
    assert caught.value.code == ErrorCode.AUTH_FAILED
    error: BaseException | None = caught.value
    assert SESAME not in f"{error} {error.args} {caught.value.details} {error.__cause__}"
    assert error.__suppress_context__


def test_nothing_that_is_shown_holds_the_secret() -> None:
    assert SESAME not in repr(_token()) + str(_token()) + _token().model_dump_json()
    key = Key.fresh()
    assert key.text not in repr(key) and repr(key.value) not in repr(key)


def test_host_bound_credentials_go_nowhere_else() -> None:
    bound = Credential(kind="bearer", secrets={"token": SecretStr(SESAME)}, host="api.example.org")
    assert bound.permitted_for("API.example.org", "x") is bound
    with pytest.raises(RecipeError, match="'x' is kept for api.example.org; it is not given to evil.example"):
        bound.permitted_for("evil.example", "x")


# ── places ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_places_are_asked_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(RecipeError, match="there is no credential 'books-api'") as caught:
        lookup.get("books-api")
    assert "LOQUELA_CREDENTIAL_BOOKS_API" in caught.value.remedy
    CredentialStore().put("books-api", _token("from store"))
    assert lookup.get("books-api").secret("token") == "from store"
    with pytest.raises(RecipeError, match="no credential 'books-ap'; did you mean 'books-api'"):
        lookup.get("books-ap")
    ring = MemoryKeyring()
    ring.set_password("loquela", "books-api", "from keyring")
    keyring.set_keyring(ring)
    assert lookup.get("books-api").secret("token") == "from keyring"
    monkeypatch.setenv("LOQUELA_CREDENTIAL_BOOKS_API", "from environment")
    assert lookup.get("books-api").secret("token") == "from environment"


def test_a_secret_in_place_of_a_name_is_not_repeated() -> None:
    with pytest.raises(RecipeError, match="a credential's name has small letters, digits") as caught:
        lookup.get("sk-ABC " + SESAME)
    assert SESAME not in str(caught.value)


# ── store ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_store_keeps_lists_replaces_and_removes() -> None:
    store = CredentialStore()
    assert store.listed() == [] and store.get("a") is None and not store.remove("a")
    store.put("a", _token("1"))
    store.put("b", Credential(kind="basic", secrets={"username": SecretStr("u"), "password": SecretStr("p")}, host="h"))
    store.put("a", _token("2"))
    assert [(c.name, c.kind, c.host) for c in store.listed()] == [("a", "bearer", None), ("b", "basic", "h")]
    assert CredentialStore().get("a") == _token("2")
    assert store.remove("a") and store.get("a") is None
    actions = [line.split('"action": ')[1].split('"')[1] for line in (store.directory / "credentials.log").open()]
    assert actions == ["set", "set", "set", "get", "remove"]


def test_files_are_for_the_owner_and_hold_no_plain_secret() -> None:
    store = CredentialStore()
    store.put("a", _token())
    assert stat.S_IMODE(store.directory.stat().st_mode) == 0o700
    for name in ("credentials.db", "credentials.key", "credentials.lock"):
        assert stat.S_IMODE((store.directory / name).stat().st_mode) == 0o600, name
    for path in store.directory.iterdir():
        assert SESAME.encode() not in path.read_bytes()


@pytest.mark.parametrize("name", ["credentials.db", "credentials.key"])
def test_a_file_that_others_can_read_is_refused(name: str) -> None:
    store = CredentialStore()
    store.put("a", _token())
    (store.directory / name).chmod(0o640)
    with pytest.raises(ResourceError, match=r"holds secrets and can be read by others \(mode 0640\)") as caught:
        store.get("a")
    assert caught.value.remedy == f"close it: chmod 600 {store.directory / name}"
    (store.directory / name).rename(store.directory / "elsewhere")
    (store.directory / name).symlink_to("elsewhere")
    with pytest.raises(ResourceError, match="holds secrets and is no plain file"):
        store.get("a")


def test_a_file_of_another_user_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    store = CredentialStore()
    store.put("a", _token())
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    with pytest.raises(ResourceError, match="belongs to another user"):
        store.get("a")


def test_a_row_under_another_name_does_not_open() -> None:
    store = CredentialStore()
    store.put("mine", _token())
    store.put("yours", _token("other"))
    _rows(store, "UPDATE credentials SET box = (SELECT box FROM credentials WHERE name = 'mine') WHERE name = 'yours'")
    with pytest.raises(DataError, match="the credential 'yours' does not open: it was changed, moved") as caught:
        store.get("yours")
    assert caught.value.code == ErrorCode.CORRUPTION
    assert store.get("mine") == _token()


def test_a_row_of_another_store_does_not_open(tmp_path: Path) -> None:
    one, two = CredentialStore(tmp_path / "one"), CredentialStore(tmp_path / "two")
    one.put("a", _token())
    two.put("a", _token("other"))
    (tmp_path / "two" / "credentials.key").write_text((tmp_path / "one" / "credentials.key").read_text())
    (box, key_id) = _rows(one, "SELECT box, key_id FROM credentials")[0]
    _rows(two, "UPDATE credentials SET box = ?, key_id = ?", box, key_id)
    with pytest.raises(DataError, match="does not open"):
        two.get("a")


def test_a_damaged_file_is_named() -> None:
    store = CredentialStore()
    store.put("a", _token())
    store.path.write_bytes(b"not a database, and long enough to be looked at" * 40)
    with pytest.raises(ResourceError, match=r"the credential store .*credentials.db cannot be used"):
        store.get("a")


def test_the_same_secret_never_looks_the_same() -> None:
    store = CredentialStore()
    boxes = set()
    for _ in range(3):
        store.put("a", _token())
        boxes.add(_rows(store, "SELECT box FROM credentials")[0][0])
    assert len({box[:12] for box in boxes}) == 3


@settings(max_examples=25, deadline=None)
@given(plain=st.binary(max_size=64), place=st.integers(0), flip=st.integers(1, 255))
def test_any_changed_byte_is_noticed(plain: bytes, place: int, flip: int) -> None:
    key = Key(b"k" * 32)
    box = bytearray(seal(key, plain, "name"))
    assert unseal(key, bytes(box), "name", "it") == plain
    box[place % len(box)] ^= flip
    with pytest.raises(DataError, match="it does not open"):
        unseal(key, bytes(box), "name", "it")


# ── rotation ──────────────────────────────────────────────────────────────────────────────────────────────────


def test_rotation_seals_everything_anew() -> None:
    store = CredentialStore()
    for name in ("a", "b"):
        store.put(name, _token(name))
    old = (store.directory / "credentials.key").read_text()
    before = _rows(store, "SELECT box FROM credentials ORDER BY name")
    assert store.rotate() == 2
    assert old.strip() not in (store.directory / "credentials.key").read_text()
    assert all(row not in before for row in _rows(store, "SELECT box FROM credentials ORDER BY name"))
    assert [store.get(name) for name in ("a", "b")] == [_token("a"), _token("b")]


class DyingKeys(FileKeys):
    """Dies at the given write of the key file, before or after it."""

    def __init__(self, path: Path, at: int, after: bool) -> None:
        super().__init__(path)
        self.at, self.after, self.writes = at, after, 0

    def replace(self, keys: Keys) -> bool:
        self.writes += 1
        dies = self.writes == self.at
        if dies and not self.after:
            raise KeyboardInterrupt
        super().replace(keys)
        if dies:
            raise KeyboardInterrupt
        return True


@pytest.mark.parametrize("at", [1, 2])
@pytest.mark.parametrize("after", [False, True])
def test_rotation_survives_death_at_every_write_of_the_keys(at: int, after: bool) -> None:
    store = CredentialStore()
    store.put("a", _token())
    dying = CredentialStore(keys=DyingKeys(store.directory / "credentials.key", at, after))
    with pytest.raises(KeyboardInterrupt):
        dying.rotate()
    assert CredentialStore().get("a") == _token()
    CredentialStore().put("b", _token("new"))
    assert CredentialStore().rotate() == 2
    assert CredentialStore().get("a") == _token()
    assert CredentialStore().get("b") == _token("new")
    assert len((store.directory / "credentials.key").read_text().split()) == 1


def test_rotation_that_cannot_open_a_row_changes_nothing() -> None:
    store = CredentialStore()
    store.put("a", _token())
    store.put("b", _token())
    _rows(store, "UPDATE credentials SET box = x'00' WHERE name = 'b'")
    with pytest.raises(DataError, match="the credential 'b' does not open"):
        store.rotate()
    assert CredentialStore().get("a") == _token()


def test_keys_from_the_environment_rotate_by_being_put_first(monkeypatch: pytest.MonkeyPatch) -> None:
    old, new = (base64.b64encode(os.urandom(32)).decode() for _ in range(2))
    monkeypatch.setenv("LOQUELA_CREDENTIALS_KEY", old)
    CredentialStore().put("a", _token())
    assert not (CredentialStore().directory / "credentials.key").exists()
    monkeypatch.setenv("LOQUELA_CREDENTIALS_KEY", f"{new},{old}")
    assert CredentialStore().rotate() == 1
    monkeypatch.setenv("LOQUELA_CREDENTIALS_KEY", new)
    assert CredentialStore().get("a") == _token()
    monkeypatch.setenv("LOQUELA_CREDENTIALS_KEY", old)
    with pytest.raises(DataError, match="was sealed with the key [0-9a-f]{16}, which is not among the keys"):
        CredentialStore().get("a")


def test_keys_from_the_keyring() -> None:
    ring = MemoryKeyring()
    ring.set_password("loquela", "credentials-key", Key.fresh().text)
    keyring.set_keyring(ring)
    store = CredentialStore()
    store.put("a", _token())
    first = ring.kept["loquela", "credentials-key"]
    assert store.rotate() == 1
    assert ring.kept["loquela", "credentials-key"] != first
    assert CredentialStore().get("a") == _token()
    assert not (store.directory / "credentials.key").exists()


@pytest.mark.parametrize("text", ["", "short", base64.b64encode(b"x" * 31).decode(), "ñ" * 44])
def test_what_is_no_key(text: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(ResourceError, match="the place holds no key of the credential store: 32 bytes"):
        parse_keys(text, "the place")
    assert isinstance(key_place(tmp_path), FileKeys)


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(LoquelaError, match="failed") as caught:
        CredentialStore(tmp_path / "file" / "loquela").put("a", _token())
    assert caught.value.exit_code == 4
