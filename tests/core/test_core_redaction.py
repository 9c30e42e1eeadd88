"""Secrets do not get into lines, and what is no secret stays."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loquela.core.redaction import SECRET, redacted, without_secrets


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("key lq_abc123_XyZ refused", f"key {SECRET} refused"),
        ("Authorization: Bearer abcdefgh12345", f"Authorization: {SECRET}"),
        ("postgresql://owner:hunter2@db/books", f"postgresql://{SECRET}@db/books"),
        ("password=hunter2, then", f"password={SECRET}, then"),
        ("GET /login?token=abc&x=1", f"GET /login?token={SECRET}&x=1"),
        ("HF_TOKEN=hf_abcdefghijkl", f"HF_TOKEN={SECRET}"),
        ("AKIAABCDEFGHIJKLMNOP", SECRET),
        ("MTA5ODc2NTQzMjEwOTg3NjU0.GaBcDe.abcdefghijklmnopqrstuvwxyz0", SECRET),
        ("-----BEGIN RSA PRIVATE KEY-----\nabc\n-----END RSA PRIVATE KEY-----", SECRET),
        ("the stop token: <|end|> was never sampled", "the stop token: <|end|> was never sampled"),
        ("4.2 ms per token=3", "4.2 ms per token=3"),
        ("https://example.org/a:b@c", "https://example.org/a:b@c"),
        ("sha256 " + "ab" * 32, "sha256 " + "ab" * 32),
    ],
)
def test_texts(text, shown):
    assert without_secrets(text) == shown


def test_values_by_their_names_and_what_is_known():
    given = {"smtp_password": "a b", "list": [{"api_key": "k", "token": "the"}], "text": "swordfish!", "n": 3}
    assert redacted(given, ["swordfish!"]) == {
        "smtp_password": SECRET, "list": [{"api_key": SECRET, "token": "the"}], "text": SECRET, "n": 3,
    }  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=60), st.text(max_size=60), st.text("abcXYZ019", min_size=6, max_size=20))
def test_what_is_known_is_never_shown(before, after, secret):
    assert secret not in without_secrets(f"{before}{secret}{after}", [secret]).replace(SECRET, "")


@pytest.mark.parametrize(
    "text",
    ["a", "a.", "eyJ-", "password ", "bot ", "a://", "a://x:", "-----BEGIN ", "key_", "?token ", "api_key"],
)
def test_a_long_text_is_gone_through_about_once(text):
    """A stranger's address of some kilobytes once took seconds."""
    began = time.process_time()
    without_secrets(text * 20_000)
    assert time.process_time() - began < 10
