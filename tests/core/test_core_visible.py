"""What a terminal would obey is written out; what people write in any script stays."""

import os
import pty
import subprocess
import sys

import pytest

from loquela.core.text.visible import visible


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain, é 漢字, tab\tand\nline", "plain, é 漢字, tab\tand\nline"),
        ("می\u200cخواهم 👩\u200d🚀", "می\u200cخواهم 👩\u200d🚀"),
        ("\x1b[2J\x1b]0;title\x07", "\\x1b[2J\\x1b]0;title\\x07"),
        ("over\rwritten\x08", "over\\rwritten\\x08"),
        ("\x9b31m", "\\x9b31m"),
        ("gpj.\u202eexe", "gpj.\\u202eexe"),
        ("\u2066a\u2069", "\\u2066a\\u2069"),
    ],
)
def test_texts(text, shown):
    assert visible(text) == shown


SAYS = r"""
from loquela.cli.failures import tell
from loquela.cli.output import print_text, table
from loquela.core.errors import ErrorCode, RecipeError
print_text("said \x1b[31mred")
table(("run",), [("name \x1b]0;owned\x07",)], title=None)
tell(RecipeError(ErrorCode.RUN_NOT_FOUND, "no \x1b[2Jrun", "do \x1b[1A"), as_json=False)
"""


def on_a_terminal(program: str) -> str:
    ours, its = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", program], stdout=its, stderr=its, env={**os.environ, "NO_COLOR": "1"}
    )
    os.close(its)
    held = b""
    try:
        while piece := os.read(ours, 65_536):
            held += piece
    except OSError:
        pass  # how a terminal says that the other side has ended
    os.close(ours)
    assert process.wait() == 0
    return held.decode()


def test_a_terminal_obeys_nothing_of_what_is_shown():
    shown = on_a_terminal(SAYS)
    for words in ("said \\x1b[31mred", "name \\x1b]0;owned\\x07", "no \\x1b[2Jrun", "do \\x1b[1A"):
        assert words in shown
    for obeyed in ("\x1b[31m", "\x1b]0;", "\x07", "\x1b[2J", "\x1b[1A"):
        assert obeyed not in shown
