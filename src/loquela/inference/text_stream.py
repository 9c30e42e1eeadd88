"""From a growing list of token ids to text that never has to be taken back.

Bytes of a character may arrive in several tokens, and a stop sequence may be spread over several; text is
released only when neither can change it any more.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

REPLACEMENT = "\ufffd"
LEFT_CONTEXT = 8


class Decoder(Protocol):
    """The part of a tokenizer that is needed here."""

    def decode(self, ids: list[int]) -> str:
        """Text of `ids`, special tokens skipped."""


class Detokenizer:
    """Adds tokens, gives the text each adds; a character of which bytes are missing waits for them.

    `before` are the tokens in front (of the prompt): decoders treat the first token of a text in their own way
    (SentencePiece drops its leading blank), so a few of them are decoded along and their text is taken off again.
    Memory and time per token stay constant: only the last few groups of tokens, each ending with a whole
    character, are kept.
    """

    def __init__(self, decoder: Decoder, before: Sequence[int] = ()) -> None:
        self._decoder = decoder
        self._groups = [self._whole_end(before)] if before else []
        self._known = decoder.decode(self._window())
        self._waiting: list[int] = []

    def add(self, token: int) -> str:
        """Text that `token` makes certain; empty while it ends inside a character."""
        self._waiting.append(token)
        text = self._new_text()
        if text.endswith(REPLACEMENT):
            return ""
        self._groups = [*self._groups, self._waiting][-LEFT_CONTEXT:]
        self._waiting = []
        self._known = self._decoder.decode(self._window())
        return text

    def finish(self) -> str:
        """What was still waiting, without the incomplete character at its end; the last call."""
        return self._new_text().rstrip(REPLACEMENT)

    def _window(self) -> list[int]:
        return [token for group in self._groups for token in group]

    def _whole_end(self, before: Sequence[int]) -> list[int]:
        """The last tokens of `before`, not beginning inside a character where that can be helped."""
        for count in range(LEFT_CONTEXT, 2 * LEFT_CONTEXT):
            tokens = list(before[-count:])
            if count >= len(before) or not self._decoder.decode(tokens).startswith(REPLACEMENT):
                return tokens
        return list(before[-LEFT_CONTEXT:])

    def _new_text(self) -> str:
        text = self._decoder.decode(self._window() + self._waiting)
        if text.startswith(self._known):
            return text[len(self._known) :]
        return self._decoder.decode(self._waiting)


class StopScanner:
    """Passes text on up to the first stop sequence; text that may be the beginning of one waits."""

    def __init__(self, stop_sequences: Sequence[str]) -> None:
        self._stops = tuple(stop_sequences)
        self._held = ""
        self.stopped = False

    def add(self, text: str) -> str:
        """The part of all text so far that is newly certain; after a stop sequence, nothing."""
        if self.stopped:
            return ""
        self._held += text
        # The sequence that is complete first wins, then the longest: so token boundaries make no difference.
        found = [(self._held.index(stop) + len(stop), -len(stop)) for stop in self._stops if stop in self._held]
        if found:
            self.stopped = True
            end, negative_length = min(found)
            return self._held[: end + negative_length]
        certain = len(self._held) - self._possible_beginning()
        released, self._held = self._held[:certain], self._held[certain:]
        return released

    def finish(self) -> str:
        """What was held back, when the text ends without a stop sequence."""
        released, self._held = ("" if self.stopped else self._held), ""
        return released

    def _possible_beginning(self) -> int:
        """Length of the longest end of the held text that begins some stop sequence."""
        longest = max((len(stop) for stop in self._stops), default=1) - 1
        for length in range(min(longest, len(self._held)), 0, -1):
            if any(stop.startswith(self._held[-length:]) for stop in self._stops):
                return length
        return 0
