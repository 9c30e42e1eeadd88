"""What leaves for Discord: no paths, no secrets, no quoted text, nothing that pings or formats."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loquela.bot.redaction import LONGEST_QUOTATION, PATH, QUOTE, Redactor, coded, escaped
from loquela.core.redaction import SECRET
from loquela.worker.folders import OUTPUT
from loquela.worker.outcome import judge

plain = Redactor(["the-bots-own-key"]).plain


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("/root/my data/corpus/secret.txt is gone", f"{PATH} is gone"),
        ("cannot read '/home/ann/x.txt': no such file", f"cannot read '{PATH}': no such file"),
        ("read <data>/corpus/a.txt, then ~/b", f"read {PATH}, then {PATH}"),
        (r"C:\Users\Ann\corpus.txt is locked", f"{PATH} is locked"),
        (r"\\server\share\x", PATH),
        ("data.sources: corpus/letters.txt is missing", f"data.sources: {PATH} is missing"),
        ("s3://bucket/key and https://ann:pw@host/x failed", f"{PATH} failed"),
        ("1200 tokens/s, step 3/10, 5/7.", "1200 tokens/s, step 3/10, 5/7."),
        ("train.epochs: 0 is too small", "train.epochs: 0 is too small"),
        ("~ is home", f"{PATH} is home"),
    ],
)
def test_paths_are_not_shown(said: str, shown: str) -> None:
    assert plain(said) == shown


@pytest.mark.parametrize(
    "secret",
    [
        "lq_abcd1234_" + "a1" * 21 + "b_1234abcd",
        "hf_abcdefghijklmnop",
        "sk-proj-abcdefgh12345678",
        "AKIAIOSFODNN7EXAMPLE",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl",
        "MTA5ODc2NTQzMjEwOTg3NjU0.GaBcDe.abcdefghijklmnopqrstuvwxyz0",
        "the-bots-own-key",
        "0123456789abcdef0123456789abcdef",
    ],
)
def test_secrets_are_not_shown(secret: str) -> None:
    assert secret not in plain(f"it was {secret} that failed")
    assert SECRET in plain(f"it was {secret} that failed")


def test_secrets_behind_their_names_are_not_shown() -> None:
    assert "hunter2" not in plain("db_password=hunter2 was wrong")
    assert "c2VjcmV0OjEy" not in plain("Authorization: Basic c2VjcmV0OjEy")


def test_quoted_text_of_the_data_is_not_shown_but_names_are() -> None:
    line = "Dear Ann, I shall come on Sunday and bring the letters with me."
    for quoted in (f'"{line}"', f"'{line}'", f"“{line}”", f"«{line}»", f"`{line}`"):
        assert plain(f"row 3 holds {quoted}, which is no JSON") == f"row 3 holds {QUOTE}, which is no JSON"
    assert plain("did you mean 'train.epochs'?") == "did you mean 'train.epochs'?"
    assert LONGEST_QUOTATION < len(line)


def test_the_output_of_a_process_that_died_is_not_shown(tmp_path: Path) -> None:
    (tmp_path / OUTPUT).write_text("Dear Ann, I shall come on Sunday and bring the letters with me.")
    error = judge(-9, tmp_path, shutting_down=False).error
    assert error is not None
    assert plain(error.message) == "the job's process ended with signal 9 and without a word"


def test_lines_and_control_characters_go_and_length_is_bounded() -> None:
    assert plain("one\ntwo\x1b[31m\u202ethree\u200bfour") == "one two[31mthreefour"
    assert len(plain("word " * 1000, 50)) <= 50
    assert plain("word " * 1000, 50).endswith("…")


def test_nothing_formats_or_mentions() -> None:
    shown = Redactor().text("**bold** @everyone <@123> [x](y) `c` __u__ ||s|| # h")
    assert "@everyone" not in shown
    assert re.search(r"<@[!&]?\d", shown) is None
    assert re.search(r"(?<!\\)[*_`|<>#\[\]()]", shown) is None
    assert coded("a`b@everyone") == "`a'b@\u200beveryone`"
    assert escaped("plain text") == "plain text"


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=200))
def test_whatever_comes_no_mention_and_no_path_goes_out(text: str) -> None:
    shown = Redactor().text(f"{text} /etc/passwd")
    assert "/etc" not in shown
    assert re.search(r"@(everyone|here)", shown) is None
    assert re.search(r"(?<!\\)<|<[@#:]\w", shown) is None
    assert "\n" not in shown
