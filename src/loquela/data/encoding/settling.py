"""At the first byte that is no UTF-8: is the text in another encoding, or is it UTF-8 with damage?"""

from __future__ import annotations

import re

from loquela.data.encoding.fallback import (
    LEAST_CONFIDENCE,
    EncodingChoice,
    as_declared,
    other_encoding,
    reads_as_western,
)
from loquela.data.encoding.language_hint import WESTERN, hinted_language

# A text of another encoding holds hardly any byte sequence that happens to be UTF-8; a mixed file holds many.
UTF8_WEIGHT = 2
LEAST_LETTERS = 3
# A guess for a few lines without any statement must be as good as proof.
SURE = 0.8
CODED_SURROGATE = re.compile(rb"\xed[\xa0-\xbf][\x80-\xbf]")


def settle(
    sample: bytes, characters_before: int, *, declared: str | None, language: str | None, fallback: bool
) -> EncodingChoice | None:
    """The encoding of the whole text that goes on with `sample`; None when it is UTF-8 with damage.

    `characters_before` are the valid ones beyond ASCII before the sample. Without `fallback` only `declared` counts.
    """
    text = sample.decode("utf-8", "replace")
    invalid = text.count("\ufffd") - sample.count("\ufffd".encode())
    valid = characters_before + len(text) - len(text.encode("ascii", "ignore")) - text.count("\ufffd")
    if valid * UTF8_WEIGHT >= invalid:
        return None
    if not fallback:
        return as_declared(sample, declared) if declared else None
    choice = other_encoding(sample, declared=declared, language=language)
    return choice if choice.confidence else None


def encoding_of_lines(sample: bytes, *, declared: str | None, language: str | None) -> str | None:
    """In which encoding those lines of a UTF-8 text that are not UTF-8 may be read; None when none fits."""
    bad = [line for line in sample.split(b"\n") if not _is_utf8(line)]
    hint = language or hinted_language(sample)
    western = sum(read_line(line, "cp1252") is not None for line in bad)
    if declared is None and (hint is None or hint in WESTERN) and western * 2 >= len(bad):
        return "cp1252"
    choice = other_encoding(b"\n".join(bad), declared=declared, language=hint)
    known = declared is not None or (hint is not None and hint not in WESTERN)
    return choice.encoding if choice.confidence >= (LEAST_CONFIDENCE if known else SURE) else None


def _is_utf8(line: bytes) -> bool:
    try:
        line.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def read_line(line: bytes, encoding: str) -> str | None:
    """`line` in `encoding` when all of it is that: nothing in it is UTF-8 and it reads well; else None."""
    if not line.decode("utf-8", "ignore").isascii() or CODED_SURROGATE.search(line):
        return None
    try:
        text = line.decode(encoding)
    except UnicodeDecodeError:
        return None
    if "\0" in text or any("\x80" <= sign <= "\x9f" for sign in text):
        return None
    letters = [sign for sign in text if sign.isalpha()]
    if len(letters) < LEAST_LETTERS:
        return None  # junk between two lines reads as something in every encoding
    beyond = any(sign > "\x7f" for sign in letters)
    return text if (reads_as_western(text) if encoding == "cp1252" else beyond) else None
