"""What models were asked and answered: sizes and times always, the texts only where the settings want them."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator
from pathlib import Path

from pydantic import JsonValue

from loquela.core.errors import LoquelaError
from loquela.jobs.actor import current_actor
from loquela.service.told.streams import ServiceLog

Message = dict[str, JsonValue]
TEXTS = ("prompt_text", "text", "messages", "outputs", "tokens", "topk", "characters")


class Interactions:
    """Writes a line when a model has answered, or could not."""

    def __init__(self, log: ServiceLog) -> None:
        self._log = log

    def told(
        self, folder: Path, verb: str, request: Message, messages: Iterator[Message]
    ) -> Generator[Message, None, None]:
        """Hand `messages` on, and write one line at their end, whichever it is."""
        began, first, how, last = time.monotonic(), 0.0, "left", dict[str, JsonValue]()
        error_code: str | None = None
        try:
            for last in messages:
                first = first or time.monotonic() - began
                yield last
            how = "answered"
        except LoquelaError as error:
            how, error_code = "failed", error.code
            raise
        finally:
            result = last.get("result")
            self._log.interaction(
                f"{verb}.{how}.v1",
                run_id=folder.name,
                request_id=current_actor().request_id or None,
                key=current_actor().name or None,
                error_code=error_code,
                milliseconds=round((time.monotonic() - began) * 1000, 1),
                first_milliseconds=round(first * 1000, 1),
                asked=self._shown(request),
                answered=self._shown(result if isinstance(result, dict) else {}),
            )

    def _shown(self, fields: Message) -> JsonValue:
        return {name: self._text(name, value) for name, value in fields.items() if value is not None}

    def _text(self, name: str, value: JsonValue) -> JsonValue:
        if name not in TEXTS or self._log.texts:
            return value
        return {"characters": len(value)} if isinstance(value, str) else {"entries": _entries(value)}


def _entries(value: JsonValue) -> int:
    return len(value) if isinstance(value, list) else 1
