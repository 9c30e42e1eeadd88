"""Bodies that came compressed, unpacked piece by piece: a bomb is noticed while it is small.

gzip and deflate always; br and zstd where their packages are installed (extra "data").
"""

from __future__ import annotations

import importlib.util
import zlib
from collections.abc import Callable, Iterable, Iterator
from typing import Protocol

from loquela.core.errors import DataError, ErrorCode
from loquela.security.http_policy import HttpPolicy

PIECE_BYTES = 1 << 16
# A zstd block of 4 bytes can stand for 128 KiB; so much input makes 4 MiB at most.
ZSTD_INPUT_BYTES = 128
# RFC 9659: no larger window in a content coding.
ZSTD_WINDOW_BYTES = 8 << 20
# Small bodies may be anything: 1 kB of spaces is 20 bytes.
FREE_BYTES = 1 << 20


class _Unpacker(Protocol):
    def feed(self, data: bytes) -> Iterator[bytes]: ...

    def finished(self) -> bool: ...


def accepted_codings() -> str:
    """What a request may ask for (Accept-Encoding)."""
    found = ["gzip", "deflate"]
    found += ["br"] if importlib.util.find_spec("brotli") else []
    found += ["zstd"] if importlib.util.find_spec("zstandard") else []
    return ", ".join(found)


def unpacked(chunks: Iterable[bytes], coding: str, url: str, policy: HttpPolicy) -> Iterator[bytes]:
    """The body of `url` whose Content-Encoding is `coding`.

    Raises DataError: UNSUPPORTED_FORMAT for a coding nobody asked for, CORRUPT_DATA for damage, for an end before the
    end, and for a body that grows more than `policy.max_ratio` times.
    """
    name = coding.strip().lower()
    if name in ("", "identity"):
        yield from chunks
        return
    unpacker = _unpacker(name, url)
    came = grown = 0
    try:
        for chunk in chunks:
            came += len(chunk)
            for piece in unpacker.feed(chunk):
                grown += len(piece)
                if grown > max(FREE_BYTES, policy.max_ratio * came):
                    raise _damaged(url, f"grows more than {policy.max_ratio} times when it is unpacked: a bomb")
                yield piece
    except _unpacking_errors() as error:
        raise _damaged(url, f"is damaged {name} data: {error}") from error
    if not unpacker.finished():
        raise _damaged(url, f"is {name} data without its end; {grown:,} bytes could be unpacked")


def _unpacker(name: str, url: str) -> _Unpacker:
    makers: dict[str, Callable[[], _Unpacker]] = {
        "gzip": lambda: _Zlib(zlib.MAX_WBITS | 16),
        "x-gzip": lambda: _Zlib(zlib.MAX_WBITS | 16),
        "deflate": lambda: _Zlib(None),
        "br": _Brotli,
        "zstd": _Zstd,
    }
    if name not in makers or (name in ("br", "zstd") and name not in accepted_codings()):
        raise DataError(
            ErrorCode.UNSUPPORTED_FORMAT,
            f"{url} sent {name}-compressed data though asked for {accepted_codings()} at most",
            'install what unpacks it (pip install "loquela[data]"), or fetch it yourself and give its path',
            details={"url": url, "coding": name},
        )
    return makers[name]()


def _unpacking_errors() -> tuple[type[Exception], ...]:
    errors: list[type[Exception]] = [zlib.error]
    if "br" in accepted_codings():
        import brotli

        errors.append(brotli.error)
    if "zstd" in accepted_codings():
        import zstandard

        errors.append(zstandard.ZstdError)
    return tuple(errors)


def _damaged(url: str, what: str) -> DataError:
    return DataError(
        ErrorCode.CORRUPT_DATA,
        f"the body of {url} {what}",
        "try again later; if it stays so, tell whoever runs the server, or leave the address out",
        details={"url": url},
    )


class _Zlib:
    """gzip, of one or several members, and deflate, with or without its header (RFC 9110, 8.4.1.2)."""

    def __init__(self, window_bits: int | None) -> None:
        self._window_bits = window_bits
        self._inner = zlib.decompressobj(window_bits or 0) if window_bits is not None else None
        self._started = False

    def feed(self, data: bytes) -> Iterator[bytes]:
        if self._inner is None:
            with_header = len(data) > 1 and data[0] & 0x0F == 8 and int.from_bytes(data[:2], "big") % 31 == 0
            self._window_bits = zlib.MAX_WBITS if with_header else -zlib.MAX_WBITS
            self._inner = zlib.decompressobj(self._window_bits)
        self._started = self._started or bool(data)
        while True:
            if self._inner.eof:
                if not data:
                    return
                self._inner = zlib.decompressobj(self._window_bits or 0)
            piece = self._inner.decompress(data, PIECE_BYTES)
            data = self._inner.unused_data if self._inner.eof else self._inner.unconsumed_tail
            if piece:
                yield piece
            if not data and len(piece) < PIECE_BYTES:
                return

    def finished(self) -> bool:
        return self._started and self._inner is not None and self._inner.eof


class _Brotli:
    def __init__(self) -> None:
        import brotli

        self._inner = brotli.Decompressor()

    def feed(self, data: bytes) -> Iterator[bytes]:
        piece: bytes = self._inner.process(data, output_buffer_limit=PIECE_BYTES)
        while piece or not self._inner.can_accept_more_data():
            yield piece
            piece = self._inner.process(b"", output_buffer_limit=PIECE_BYTES)

    def finished(self) -> bool:
        return bool(self._inner.is_finished())


class _Zstd:
    def __init__(self) -> None:
        import zstandard

        self._decompressor = zstandard.ZstdDecompressor(max_window_size=ZSTD_WINDOW_BYTES)
        self._inner = self._decompressor.decompressobj()
        self._started = False

    def feed(self, data: bytes) -> Iterator[bytes]:
        for start in range(0, len(data), ZSTD_INPUT_BYTES):
            rest = data[start : start + ZSTD_INPUT_BYTES]
            while rest:
                if self._inner.eof:
                    self._inner = self._decompressor.decompressobj()
                self._started = True
                piece = self._inner.decompress(rest)
                rest = self._inner.unused_data if self._inner.eof else b""
                if piece:
                    yield piece

    def finished(self) -> bool:
        return self._started and self._inner.eof
