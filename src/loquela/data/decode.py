"""Raw bytes → text, strictly: a byte that is not what it should be stops the stage with its place.

UTF-8 unless a byte order mark or the source declares otherwise; line ends become LF. Every change of size is
counted under the arrow "decode".
"""

from __future__ import annotations

import codecs
import shlex
from collections.abc import Iterable, Iterator

from loquela.core.errors import DataError, ErrorCode
from loquela.data.tally import Tally, utf8_size

BOMS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))
CONTROL_BYTES = bytes(sorted({*range(0x20), 0x7F} - set(b"\t\n\r\f\x1b")))
# More control characters than this share of the first chunk is no text of any encoding.
CONTROL_SHARE = 0.1


def decode(
    chunks: Iterable[bytes], name: str, tally: Tally, *, declared: str | None = None, path: str | None = None
) -> Iterator[str]:
    """Stream the text of `chunks`, which belong to the text called `name` (kept in the file `path`).

    `declared` is an encoding that the source states; a byte order mark goes before it. Raises DataError:
    ENCODING_ERROR (byte offset, line) or CORRUPT_DATA for binary data.
    """
    decoder = _Decoder(name, known_encoding(declared, name) if declared else "utf-8", path or name)
    ends = _LineEnds(tally)
    for chunk in chunks:
        tally.enter("decode", len(chunk))
        text, marks = decoder.feed(chunk)
        yield from _counted(text, len(chunk) - marks, marks, decoder, ends, tally)
    text, _ = decoder.feed(b"", final=True)
    yield from _counted(text, 0, 0, decoder, ends, tally)
    yield from filter(None, [ends.flush()])


def known_encoding(declared: str, name: str) -> str:
    """Python's name of an encoding that a source declares; DataError(ENCODING_ERROR) for one that nobody knows."""
    try:
        known = codecs.lookup(declared.strip()).name
    except LookupError as error:
        raise DataError(
            ErrorCode.ENCODING_ERROR,
            f"{name} declares the encoding {declared!r}, which is unknown",
            "convert the text to UTF-8 and give it as a file",
            details={"source": name, "encoding": declared},
        ) from error
    return "utf-8" if known in ("utf-8", "ascii", "utf-8-sig") else known


def _counted(
    text: str, raw_bytes: int, mark_bytes: int, decoder: _Decoder, ends: _LineEnds, tally: Tally
) -> Iterator[str]:
    """Pass `text` on with LF line ends, counting marks, transcoding and line ends apart."""
    tally.change("decode", "byte_order_mark", -mark_bytes)
    if decoder.encoding != "utf-8":
        decoded_bytes = raw_bytes - decoder.pending_bytes_change()
        tally.change("decode", f"{decoder.encoding}_to_utf-8", utf8_size(text) - decoded_bytes)
    text = ends.convert(text)
    if text:
        yield text


class _Decoder:
    """An incremental decoder that knows where it is."""

    def __init__(self, name: str, encoding: str, path: str) -> None:
        self.name = name
        self.encoding = encoding
        self.path = path
        self.offset = 0  # raw bytes fed before the current chunk
        self.lines = 0  # newlines before the current chunk
        self._beyond_ascii = False
        self._pending = 0
        self._pending_before = 0
        self._decoder: codecs.IncrementalDecoder | None = None

    def feed(self, chunk: bytes, *, final: bool = False) -> tuple[str, int]:
        """The text of `chunk`, and how many of its bytes were a byte order mark."""
        mark = 0
        if self._decoder is None:
            mark = self._start(chunk)
        decoder = self._decoder or codecs.getincrementaldecoder(self.encoding)("strict")
        self._decoder = decoder
        if not self.encoding.startswith("utf-16") and b"\0" in chunk:
            raise self._binary(chunk.index(b"\0"), "a NUL byte", chunk)
        self._pending_before = self._pending
        try:
            text = decoder.decode(chunk[mark:], final)
        except UnicodeDecodeError as error:
            raise self._undecodable(error, chunk, mark) from error
        if "\0" in text:
            raise self._binary(0, "a NUL character near it", b"")
        self._pending = len(decoder.getstate()[0])
        self.offset += len(chunk)
        self.lines += text.count("\n")
        self._beyond_ascii = self._beyond_ascii or not text.isascii()
        return text, mark

    def pending_bytes_change(self) -> int:
        """By how much the bytes held back for the next chunk have grown."""
        return self._pending - self._pending_before

    def _start(self, chunk: bytes) -> int:
        mark = 0
        for bom, encoding in BOMS:
            if chunk.startswith(bom):
                self.encoding, mark = encoding, len(bom)
        if not self.encoding.startswith("utf-16"):
            controls = len(chunk) - len(chunk.translate(None, CONTROL_BYTES))
            if b"\0" not in chunk and controls > CONTROL_SHARE * len(chunk):
                raise self._binary(0, f"{controls} control characters in the {len(chunk)} bytes", b"")
        return mark

    def _binary(self, inside: int, what: str, chunk: bytes) -> DataError:
        offset = self.offset + inside
        line = self.lines + chunk[:inside].count(b"\n") + 1
        return DataError(
            ErrorCode.CORRUPT_DATA,
            f"{self.name} is binary or damaged, not text: {what} at byte {offset}, line {line}",
            "give a plain text file, or remove this one from data.sources",
            details={"source": self.name, "byte": offset, "line": line},
        )

    def _undecodable(self, error: UnicodeDecodeError, chunk: bytes, mark: int) -> DataError:
        inside = mark + error.start - self._pending_before
        offset = self.offset + inside
        line = self.lines + chunk[: max(0, inside)].count(b"\n") + 1
        # `object` holds what the decoder kept from before, so `start` points at the offending byte there.
        value = error.object[error.start]
        return DataError(
            ErrorCode.ENCODING_ERROR,
            f"{self.name} is not {self.encoding.upper()}: byte 0x{value:02x} at offset {offset}, line {line} "
            f"({error.reason})",
            self._remedy(chunk, line, valid_before=error.object[: error.start]),
            details={"source": self.name, "byte": offset, "line": line, "encoding": self.encoding},
        )

    def _remedy(self, chunk: bytes, line: int, valid_before: bytes) -> str:
        file = shlex.quote(self.path)
        if self._beyond_ascii or not valid_before.isascii():
            # Converting the whole file would spoil the characters that are right.
            return f"correct line {line}: what is before it is valid (to look at it: sed -n {line}p {file} | xxd)"
        likely = "WINDOWS-1252" if any(0x80 <= byte <= 0x9F for byte in chunk) else "ISO-8859-1"
        return f"convert it: iconv -f {likely} -t UTF-8 {file} > {shlex.quote(self.path + '.utf8')}"


class _LineEnds:
    """CRLF and CR → LF across chunk borders."""

    def __init__(self, tally: Tally) -> None:
        self._tally = tally
        self._held = ""

    def convert(self, text: str) -> str:
        """`text` with LF line ends; a CR at its end waits for what follows."""
        text = self._held + text
        self._held = ""
        if text.endswith("\r"):
            self._held, text = "\r", text[:-1]
        if "\r" not in text:
            return text
        self._tally.change("decode", "crlf_to_lf", -text.count("\r\n"))
        return text.replace("\r\n", "\n").replace("\r", "\n")

    def flush(self) -> str:
        """The LF of a text that ends in CR."""
        held, self._held = self._held, ""
        return "\n" if held else ""
