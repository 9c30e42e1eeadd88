import os
import stat

import pytest
from sqlalchemy import select

from loquela.core.errors import RecipeError
from loquela.jobs.tables import api_keys
from loquela.security.api_keys import ApiKey, new_key, parse_key
from loquela.service.keys import KeyStore, Scope, load_or_make_secret


def test_a_key_reads_back_and_hides_its_secret():
    key = new_key()
    assert parse_key(key.text) == key
    assert key.secret not in repr(key)
    assert len(key.text) == len("lq_") + 8 + 1 + 43 + 1 + 8


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text[:-1] + ("0" if text[-1] != "0" else "1"),
        lambda text: text[:-9],
        lambda text: text.replace("lq_", "xx_"),
        lambda text: text[:20] + "é" + text[21:],
        lambda text: "",
        lambda text: text + "_",
    ],
    ids=["check", "cut", "prefix", "letter", "empty", "longer"],
)
def test_what_is_no_key_is_told_without_the_database(change):
    assert parse_key(change(new_key().text)) is None


def test_a_key_is_checked_and_its_secret_is_not_kept(parts):
    key, record = parts.keys.create("bot", [Scope.READ])
    assert parts.keys.check(key.text) is not None
    with parts.database.read() as connection:
        row = connection.execute(select(api_keys)).one()
    assert key.secret not in str(row)
    assert (record.name, record.scopes) == ("bot", [Scope.READ])


def test_another_secret_an_unknown_id_and_nonsense_are_refused(parts):
    key, _ = parts.keys.create("bot", [Scope.READ])
    other = new_key()
    for text in (ApiKey(key.id, other.secret).text, other.text, "nonsense", "", "lq_" * 1000):
        assert parts.keys.check(text) is None


def test_a_revoked_and_an_expired_key_count_no_more(parts, clock):
    revoked, record = parts.keys.create("one", [Scope.READ])
    expiring, _ = parts.keys.create("two", [Scope.READ], expires_at=clock.now() + 10)
    assert parts.keys.revoke(record.id).revoked_at == parts.keys.revoke(record.id).revoked_at == clock.now()
    assert parts.keys.check(revoked.text) is None
    assert parts.keys.check(expiring.text) is not None
    clock.advance(11)
    assert parts.keys.check(expiring.text) is None


def test_last_use_is_noted_once_a_minute(parts, clock):
    key, record = parts.keys.create("bot", [Scope.READ])
    parts.keys.check(key.text)
    first = clock.now()
    clock.advance(30)
    parts.keys.check(key.text)
    assert parts.keys.get(record.id).last_used_at == first
    clock.advance(31)
    parts.keys.check(key.text)
    assert parts.keys.get(record.id).last_used_at == first + 61


def test_admin_may_everything_and_read_only_that(parts):
    _, admin = parts.keys.create("a", [Scope.ADMIN])
    _, reader = parts.keys.create("r", [Scope.READ])
    assert all(admin.allows(scope) for scope in Scope)
    assert [scope for scope in Scope if reader.allows(scope)] == [Scope.READ]


def test_an_unknown_key_is_named(parts):
    with pytest.raises(RecipeError, match="there is no key 'nothing'"):
        parts.keys.revoke("nothing")


def test_the_pepper_is_made_once_and_only_its_owner_reads_it(parts, tmp_path):
    place = tmp_path / "keys" / "pepper"
    first = load_or_make_secret(place, 32)
    assert load_or_make_secret(place, 32) == first
    assert len(first) == 32
    assert stat.S_IMODE(os.stat(place).st_mode) == 0o600
    assert os.listdir(place.parent) == ["pepper"]


def test_another_pepper_knows_no_key(parts, clock, tmp_path):
    key, _ = parts.keys.create("bot", [Scope.READ])
    assert KeyStore(parts.database, clock, tmp_path / "other", parts.audit).check(key.text) is None
