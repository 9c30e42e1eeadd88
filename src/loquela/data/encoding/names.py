"""Names of encodings: as sources declare them, as Python knows them, and the wider one that is meant in practice."""

from __future__ import annotations

import codecs

from loquela.core.errors import DataError, ErrorCode

MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # before UTF-16, whose mark it starts with
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
# What WHATWG's Encoding standard reads these names as: what says Latin-1 is mostly Windows-1252.
WIDER = {
    "iso8859-1": "cp1252",
    "iso8859-9": "cp1254",
    "iso8859-11": "cp874",
    "tis-620": "cp874",
    "euc_kr": "cp949",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "shift_jis": "cp932",
    "big5": "big5hkscs",
}
UTF8_NAMES = ("utf-8", "ascii", "utf-8-sig")
# 7-bit encodings with escapes: they look like ASCII, so they cannot be told from it byte by byte.
ESCAPING = ("iso2022", "hz", "utf-7")
PRINTABLE = bytes([*b"\t\n\r", *range(0x20, 0x7F)])


def known_encoding(declared: str, name: str) -> str:
    """Python's name of an encoding that a source declares; DataError(ENCODING_ERROR) for one that nobody knows."""
    try:
        known = codecs.lookup(declared.strip())
        if "text".encode(known.name).decode(known.name) != "text":  # base64, rot13 and the like are no encodings
            raise LookupError(declared)
    except (LookupError, TypeError, ValueError) as error:
        raise DataError(
            ErrorCode.ENCODING_ERROR,
            f"{name} declares the encoding {declared!r}, which is unknown",
            "convert the text to UTF-8 and give it as a file",
            details={"source": name, "encoding": declared},
        ) from error
    return "utf-8" if known.name in UTF8_NAMES else known.name


def mark_of(head: bytes) -> tuple[str, int] | None:
    """The encoding that a byte order mark names and the mark's size in bytes; None without one."""
    return next(((encoding, len(mark)) for mark, encoding in MARKS if head.startswith(mark)), None)


def extends_ascii(encoding: str) -> bool:
    """Whether bytes below 0x80 mean in `encoding` what they mean in ASCII (not so in UTF-16 and EBCDIC)."""
    if encoding.replace("_", "-").startswith(ESCAPING):
        return False
    try:
        return PRINTABLE.decode(encoding) == PRINTABLE.decode("ascii")
    except UnicodeDecodeError:
        return False


def byte_ordered(encoding: str) -> str:
    """`encoding` with its byte order said: "utf-16" without a mark would look for one in every block."""
    return f"{encoding}-le" if encoding in ("utf-16", "utf-32") else encoding


def unit_bytes(encoding: str) -> int:
    """Size of one code unit: 2 for UTF-16, 4 for UTF-32, else 1."""
    return {"utf-16": 2, "utf-32": 4}.get(encoding.replace("_", "-")[:6], 1)


def newline_of(encoding: str) -> bytes:
    """A line feed in `encoding`."""
    return "\n".encode(encoding)


def zero_pattern(head: bytes) -> str | None:
    """UTF-16 or UTF-32 without a mark, told by where the zero bytes stand; None where they tell nothing.

    Text in Latin letters has its zeros in the high byte of nearly every unit. In other scripts line ends, spaces and
    digits still do, and the low byte is hardly ever zero.
    """
    whole = head[: len(head) & ~3]
    if whole.count(0) < 2 or len(whole) < 4:
        return None
    places = [whole[offset::4].count(0) / (len(whole) // 4) for offset in range(4)]
    if min(places[2:]) > 0.9 and places[0] < 0.1:
        return "utf-32-le"
    if min(places[:2]) > 0.9 and places[3] < 0.1:
        return "utf-32-be"
    even, odd = (places[0] + places[2]) / 2, (places[1] + places[3]) / 2
    for encoding, high, low in (("utf-16-le", odd, even), ("utf-16-be", even, odd)):
        if high > 0.02 and low < high / 20 and _reads(whole, encoding):
            return encoding
    return None


def _reads(data: bytes, encoding: str) -> bool:
    """Whether `data` (cut anywhere between two units) decodes, and to characters that texts are made of."""
    try:
        text = codecs.getincrementaldecoder(encoding)("strict").decode(data)
    except UnicodeDecodeError:
        return False
    odd = sum(not (sign.isprintable() or sign in "\t\n\r\f\ufeff") for sign in text)
    return odd <= len(text) // 50
