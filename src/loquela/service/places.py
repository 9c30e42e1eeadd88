"""Places on the server are the server's own business: no answer in words names its data folder."""

from __future__ import annotations

import json
import os
from pathlib import Path

from starlette.datastructures import MutableHeaders
from starlette.types import Message, Send

DATA = b"<data>"
WORDS = ("application/json", "text/event-stream")


class Places:
    """Knows the data folder under each of its names."""

    def __init__(self, data: Path) -> None:
        names = {os.path.abspath(data), os.path.realpath(data)}
        # As they stand in JSON, where some letters are written otherwise.
        spelt = {json.dumps(name)[1:-1] for name in names} | {
            json.dumps(name, ensure_ascii=False)[1:-1] for name in names
        }
        self._names = sorted((name.encode() for name in spelt if len(name) > 1), key=len, reverse=True)

    def hidden(self, text: bytes) -> bytes:
        """`text` with the data folder as <data>."""
        for name in self._names:
            text = text.replace(name, DATA)
        return text

    def hiding(self, send: Send) -> Send:
        """`send` for answers in words with the data folder hidden; files go out as they are."""
        held: Message | None = None
        in_words = False

        async def hide(message: Message) -> None:
            nonlocal held, in_words
            if message["type"] == "http.response.start":
                kind = MutableHeaders(scope=message).get("content-type", "")
                in_words = kind.startswith(WORDS)
                if in_words and "content-length" in MutableHeaders(scope=message):
                    held = message
                    return
            elif message["type"] == "http.response.body" and in_words:
                message = {**message, "body": self.hidden(message.get("body", b""))}
                if held is not None:
                    MutableHeaders(scope=held)["content-length"] = str(len(message["body"]))
                    await send(held)
                    held = None
            await send(message)

        return hide
