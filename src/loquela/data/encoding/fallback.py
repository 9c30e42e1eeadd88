"""In which encoding is a text that is not UTF-8? Proof first, then statements, then the language, then statistics.

1 byte order mark, 2 zero pattern of UTF-16 and UTF-32, 3 strict UTF-8, 4 what the place declares, 5 Windows-1252 when
the language is a Western one and the text reads well in it, 6 chardet, whose answer must agree with the language.
"""

from __future__ import annotations

import codecs
from dataclasses import dataclass

from loquela.core.extras import require
from loquela.data.encoding.detector import DetectorModule, detected
from loquela.data.encoding.familiar import LETTERS, SIGNS
from loquela.data.encoding.language_hint import ENCODINGS, WESTERN, hinted_language
from loquela.data.encoding.names import WIDER, extends_ascii, known_encoding, mark_of, zero_pattern

# chardet reads at most 200 kB; more would not change its mind.
SAMPLE_BYTES = 1 << 16

JOINING = frozenset("’´·—–\u00ad")
LEAST_FAMILIAR = 0.95
# A guess is none when chardet is less sure than this and there are fewer bytes beyond ASCII than that.
LEAST_CONFIDENCE = 0.3
LEAST_BYTES = 4
ASCII = bytes(range(0x80))
LATIN_SHARE = 0.7


@dataclass(frozen=True)
class EncodingChoice:
    """`confidence` is 1 for what the bytes prove and 0 when no encoding fits (then `encoding` is "utf-8")."""

    encoding: str
    evidence: str
    confidence: float


NOTHING_FITS = EncodingChoice("utf-8", "no encoding reads all of it", 0.0)


def choose_encoding(head: bytes, *, declared: str | None, language: str | None) -> EncodingChoice:
    """The encoding of the text that starts with `head` (cut anywhere), and how that is known.

    `declared` is what the place states, `language` the ISO 639 code where the text's language is known. Raises
    DataError(ENCODING_ERROR) for a declared encoding that nobody knows, ResourceError(MISSING_EXTRA) where statistics
    are needed and chardet is not installed.
    """
    mark = mark_of(head)
    if mark is not None:
        return EncodingChoice(mark[0], "byte order mark", 1.0)
    zeros = zero_pattern(head)
    if zeros is not None:
        return EncodingChoice(zeros, "zero bytes where it has them", 0.99)
    if _decoded(head, "utf-8") is not None:
        return EncodingChoice("utf-8", "valid UTF-8", 1.0)
    return other_encoding(head, declared=declared, language=language)


def other_encoding(sample: bytes, *, declared: str | None, language: str | None) -> EncodingChoice:
    """As `choose_encoding`, for bytes that are known not to be UTF-8."""
    sample = sample[:SAMPLE_BYTES]
    stated = as_declared(sample, declared) if declared else None
    if stated is not None:
        return stated
    hint = language or hinted_language(sample)
    if hint in WESTERN:
        text = _decoded(sample, "cp1252")
        if text is not None and reads_as_western(text):
            how = "stated" if language else "told by its words"
            return EncodingChoice("cp1252", f"Western language ({hint}, {how}) and reads as Windows-1252", 0.95)
    return _by_statistics(sample, hint, stated=language is not None)


def reads_as_western(text: str) -> bool:
    """Whether the characters beyond ASCII are those of Western texts, each where such a one stands in words."""
    beyond = [place for place, sign in enumerate(text) if sign > "\x7f"]
    familiar = sum(
        _familiar(text[place], text[max(0, place - 1) : place], text[place + 1 : place + 2]) for place in beyond
    )
    return familiar >= LEAST_FAMILIAR * len(beyond)


def _familiar(sign: str, before: str, after: str) -> bool:
    inside = before.isalpha() and after.isalpha()
    if sign in LETTERS:
        # DOS and Mac encodings put capitals, or signs, where Windows has small letters.
        return not (inside and sign.isupper() and before.islower() and after.islower())
    return sign in SIGNS and (not inside or sign in JOINING)


def as_declared(sample: bytes, declared: str) -> EncodingChoice | None:
    """The encoding that the place declares, or its wider form; None where the bytes are not that."""
    encoding = known_encoding(declared, "the source")
    if encoding == "utf-8":
        return None
    for name, said, confidence in (
        (encoding, "declared", 0.9),
        (WIDER.get(encoding, encoding), f"declared as {encoding}, of which it is the wider form", 0.85),
    ):
        text = _decoded(sample, name)
        if text is not None and not any("\x80" <= sign <= "\x9f" for sign in text):
            return EncodingChoice(name, said, confidence)
    return None


def _by_statistics(sample: bytes, hint: str | None, *, stated: bool) -> EncodingChoice:
    module: DetectorModule = require("chardet", extra="data", purpose="telling the encoding of a text")
    guess = detected(module, sample)
    if guess is not None and _agrees(guess.encoding, sample, hint):
        text = _decoded(sample, guess.encoding) if extends_ascii(guess.encoding) else None
        enough = guess.confidence >= LEAST_CONFIDENCE or len(sample.translate(None, ASCII)) >= LEAST_BYTES
        if text is not None and (enough or (guess.encoding == "cp1252" and reads_as_western(text))):
            return EncodingChoice(guess.encoding, f"chardet ({guess.language or 'no language'})", guess.confidence)
    text = _decoded(sample, "cp1252")
    if text is not None and hint is None and _latin(text) and reads_as_western(text):
        return EncodingChoice("cp1252", "Latin letters that read as Windows-1252; nothing else is known", 0.3)
    usual = ENCODINGS.get(hint or "", ("",))[0] if stated and hint not in WESTERN else ""
    if usual and _decoded(sample, usual) is not None:
        return EncodingChoice(usual, f"usual for the stated language {hint}", 0.3)
    return NOTHING_FITS


def _latin(text: str) -> bool:
    """Whether most letters are plain ASCII ones."""
    letters = [sign for sign in text if sign.isalpha()]
    return sum(map(str.isascii, letters)) >= LATIN_SHARE * len(letters) > 0


def _agrees(encoding: str, sample: bytes, hint: str | None) -> bool:
    """Whether `encoding` is one that the language is written in, or reads the same as one of them."""
    usual = ENCODINGS.get(hint or "", ())
    text = _decoded(sample, encoding)
    return not usual or encoding in usual or any(text == _decoded(sample, other) for other in usual)


def _decoded(data: bytes, encoding: str) -> str | None:
    """`data`, whose last character may be cut, as text; None where it is not `encoding`."""
    try:
        return codecs.getincrementaldecoder(encoding)("strict").decode(data)
    except UnicodeDecodeError:
        return None
