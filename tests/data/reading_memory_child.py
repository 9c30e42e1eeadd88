"""Reads a generated object of so many bytes, and prints the most memory (bytes) that was resident meanwhile.

python reading_memory_child.py decode|jsonl|json|csv|stream BYTES
"""

from __future__ import annotations

import io
import resource
import sys
from contextlib import contextmanager
from uuid import UUID

from loquela.data.encoding.decode import decode
from loquela.data.encoding.report import EncodingReport
from loquela.data.reading.contracts import DataStreamReaderRequest
from loquela.data.reading.records import ReadOptions, read_records
from loquela.data.reading.stream_reader import DataStreamReader
from loquela.data.source_object import SourceObject
from loquela.data.tally import Tally
from loquela.monitoring.events import SilentBus
from loquela.recipe.encoding_section import EncodingSection

TEXT = "El niño que comió en la montaña de la señora, y lo que dijo después. " * 15
LINES = {
    "decode": f"{TEXT}\r\n",
    "stream": f"{TEXT}\n",
    "jsonl": f'{{"id": 7, "text": "{TEXT}"}}\n',
    "json": f'{{"id": 7, "text": "{TEXT}"}},\n',
    "csv": f'7,"{TEXT}"\r\n',
}
HEADS = {"json": b"[", "csv": b"id,text\r\n"}
ENDS = {"json": b"{}]"}


class Generated(io.RawIOBase):
    def __init__(self, kind: str, size: int) -> None:
        super().__init__()
        line = LINES[kind].encode()
        self._block = line * (1 + (1 << 20) // len(line))
        self._head, self._end = HEADS.get(kind, b""), ENDS.get(kind, b"")
        self._left = size

    def read(self, size: int = -1) -> bytes:
        if self._head:
            head, self._head = self._head, b""
            return head
        if self._left > 0:
            self._left -= len(self._block)
            return self._block
        end, self._end = self._end, b""
        return end


def main(kind: str, size: int) -> None:
    @contextmanager
    def open_at(offset: int):
        yield Generated(kind, size)

    source = SourceObject("generated", open_at)
    if kind == "decode":
        with open_at(0) as stream:
            pieces = decode(
                iter(lambda: stream.read(1), b""), "generated", Tally(), policy=EncodingSection(), spans=True
            )
            place = 0
            for piece in pieces:
                pieces.raw_span(place, place + len(piece))
                place += len(piece)
    elif kind == "stream":
        reader = DataStreamReader({UUID(int=1): [source]}, SilentBus())
        request = DataStreamReaderRequest(connection_id=UUID(int=1), chunk_size_mb=1, format="txt")
        for _ in reader.stream(request):
            pass
    else:
        for _ in read_records(source, kind, ReadOptions(), Tally(), EncodingReport(object="generated")):
            pass
    sys.stdout.write(str(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
