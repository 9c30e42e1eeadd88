"""Text that was UTF-8, was read as another encoding and saved again: "maÃ±ana" → "mañana".

Looked for by its signature only: a byte of 0xC2 to 0xF4 and then one of 0x80 to 0xBF, each shown as the character that
some encoding has there. What is found is mended by ftfy, restricted to its encoding repairs: quotes, widths, ligatures
and line ends stay as they are.
"""

from __future__ import annotations

import re
from typing import Protocol

import numpy as np

from loquela.core.extras import require
from loquela.data.encoding.familiar import LETTERS, SIGNS

SINGLE_BYTE = ("latin-1", "cp1252", "cp1251", "cp1250", "cp1253", "cp1254", "cp1257", "iso8859-2", "mac-roman", "cp437")
C1_CONTROLS = "\x80-\x84\x86-\x9f"  # U+0085 is a line end in some texts
# ftfy goes no deeper than what it decodes in one step; a second layer is a second step.
MOST_LAYERS = 4


def _shown(low: int, high: int, encoding: str) -> str:
    """A character class: the bytes from `low` to `high` as `encoding` shows them."""
    shown = {bytes([code]).decode(encoding, "ignore") for code in range(low, high + 1)}
    signs = "".join(re.escape(sign) for sign in sorted(shown) if sign > "\x7f")
    return f"[{signs}]" if signs else "(?!)"


def _sequences(encoding: str) -> str:
    """UTF-8 sequences of two, three and four bytes, shown in `encoding`."""
    leads = [_shown(0xC2, 0xDF, encoding), _shown(0xE0, 0xEF, encoding), _shown(0xF0, 0xF4, encoding)]
    rest = _shown(0x80, 0xBF, encoding)
    return "|".join(f"{lead}{rest}{{{count}}}" for count, lead in enumerate(leads, start=1))


def _any_of(low: int, high: int) -> str:
    return "".join(_shown(low, high, encoding)[1:-1] for encoding in SINGLE_BYTE)


# Two steps, because the exact expression is slow and the loose one lets hardly anything pass.
_LOOSE = re.compile(f"[{_any_of(0xC2, 0xF4)}{C1_CONTROLS}][{_any_of(0x80, 0xBF)}]|[{C1_CONTROLS}]")
_EXACT = re.compile("|".join([*map(_sequences, SINGLE_BYTE), f"[{C1_CONTROLS}]"]))
# Where two characters beyond ASCII stand side by side more often than this, the script is no Latin one.
SPARSE = 1 / 64
# A character beyond ASCII right behind another one, or a C1 control (0xC2 0x80 to 0x9F); numpy pays off later.
_BESIDE = re.compile(rb"[\x80-\xbf][\xc0-\xff]|\xc2[\x80-\x9f]")
SHORT_BYTES = 2048
WINDOW_BYTES = 12
FAMILIAR = LETTERS | SIGNS


class _Settings(Protocol):
    """ftfy.TextFixerConfig."""


class FixerModule(Protocol):
    """The part of ftfy that is used."""

    def TextFixerConfig(self, **switches: bool | str | None) -> _Settings:
        """Which repairs are made."""

    def fix_encoding(self, text: str, config: _Settings) -> str:
        """Undo wrong decodings of `text`."""


class MojibakeRepair:
    """Mends the lines of a text that show the signature. ftfy is loaded when the first one does."""

    def __init__(self) -> None:
        self._module: FixerModule | None = None
        self._settings: _Settings | None = None

    def suspects(self, data: bytes) -> list[tuple[int, int]]:
        """The lines [start, end) of `data`, which is valid UTF-8, that show the signature; line ends included."""
        if data.isascii():
            return []
        if len(data) < SHORT_BYTES and not _BESIDE.search(data):
            return []
        codes = np.frombuffer(data, dtype=np.uint8)
        beside = ((codes[1:] >= 0xC0) & ((codes[:-1] & 0xC0) == 0x80)) | ((codes[:-1] == 0xC2) & (codes[1:] < 0xA0))
        places = np.flatnonzero(beside)
        if places.size > SPARSE * len(data):
            return _in_dense(data)
        found: list[tuple[int, int]] = []
        end = 0
        for place in places.tolist():
            if place < end:
                continue
            window = data[max(0, place - WINDOW_BYTES) : place + WINDOW_BYTES].decode("utf-8", "ignore")
            if _EXACT.search(window):
                found.append(_line_around(data, place))
                end = found[-1][1]
        return found

    def mend(self, line: str) -> str:
        """`line` with its wrong decodings undone; the same line where there are none.

        Raises ResourceError(MISSING_EXTRA) when ftfy is not installed.
        """
        mended = line
        for _ in range(MOST_LAYERS):
            before, mended = mended, self._once(mended)
            if mended == before:
                break
        return mended if _believable(line, mended) else line

    def mend_text(self, text: str) -> tuple[str, int]:
        """`text` with every line mended that needs it, and how many those are."""
        data = text.encode("utf-8")
        pieces: list[str] = []
        kept = count = 0
        for start, end in self.suspects(data):
            line = data[start:end].decode("utf-8")
            mended = self.mend(line)
            if mended != line:
                pieces += [data[kept:start].decode("utf-8"), mended]
                kept, count = end, count + 1
        return ("".join([*pieces, data[kept:].decode("utf-8")]), count) if count else (text, 0)

    def _once(self, line: str) -> str:
        if self._module is None or self._settings is None:
            module: FixerModule = require("ftfy", extra="data", purpose="repairing mojibake (data.encoding)")
            self._module = module
            self._settings = module.TextFixerConfig(
                unescape_html=False,
                remove_terminal_escapes=False,
                fix_latin_ligatures=False,
                fix_character_width=False,
                uncurl_quotes=False,
                fix_line_breaks=False,
                fix_surrogates=False,
                remove_control_chars=False,
                normalization=None,
                explain=False,
            )
        return self._module.fix_encoding(line, self._settings)


def _line_around(data: bytes, place: int) -> tuple[int, int]:
    return data.rfind(b"\n", 0, place) + 1, data.find(b"\n", place) + 1 or len(data)


def _in_dense(data: bytes) -> list[tuple[int, int]]:
    """`suspects` of a text in which nearly every pair of neighbours is beyond ASCII: Cyrillic, Greek, Korean."""
    text = data.decode("utf-8")
    found: list[tuple[int, int]] = []
    counted = offset = end = 0
    for match in _LOOSE.finditer(text):
        if not _EXACT.search(text, max(0, match.start() - 4), match.end() + 4):
            continue
        offset += len(text[counted : match.start()].encode("utf-8"))
        counted = match.start()
        if offset >= end:
            found.append(_line_around(data, offset))
            end = found[-1][1]
    return found


def _believable(line: str, mended: str) -> bool:
    """Whether the characters that came up are ones that texts hold: "»Éstas" is no "ȃstas" out of a Mac.

    A single pair that became one character must have become a Western letter or sign, or a Greek letter; rare Latin
    letters, phonetic signs (U+0180 to U+02AF) and control characters are never believed.
    """
    new = set(mended) - set(line)
    if any("\u0180" <= sign <= "\u02af" or "\x80" <= sign <= "\x9f" for sign in new):
        return False
    return len(line) - len(mended) > 1 or all(map(_usual, new))


def _usual(sign: str) -> bool:
    return sign in FAMILIAR or "\u0100" <= sign <= "\u017f" or "Α" <= sign <= "ω"
