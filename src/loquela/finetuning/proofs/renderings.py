"""One conversation as transformers, our training and our chat turn it into tokens."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from jinja2 import TemplateError
from pydantic import JsonValue

from loquela.artifacts.examples import Message
from loquela.artifacts.examples_facts import TemplateRecord
from loquela.artifacts.shown_turns import chat_message
from loquela.core.errors import RecipeError
from loquela.core.extras import require
from loquela.inference.chat_contracts import ChatMessage
from loquela.inference.chat_template import TemplateFormat
from loquela.security.jinja_process import marked_parts
from loquela.security.template_process import TemplateProcess
from loquela.tokenizers.template_text import TemplateTokenizer

EXTRA, PURPOSE = "finetune", "holding rows against what transformers makes of them"


class Reference(Protocol):
    """The part of a tokenizer of transformers that is needed."""

    def apply_chat_template(
        self,
        conversation: Sequence[Mapping[str, JsonValue]],
        tools: Sequence[JsonValue] | None = None,
        *,
        chat_template: str | None = None,
        add_generation_prompt: bool = False,
        return_dict: bool = True,
    ) -> Iterable[int]: ...

    def encode(self, text: str, *, add_special_tokens: bool = True) -> list[int]: ...

    def __len__(self) -> int: ...


def open_reference(folder: Path) -> Reference:
    """The tokenizer in `folder` as transformers opens it: no code of the folder's is run, nothing is fetched.

    Control tokens that a template writes are read as such, as in what is handed on (`copy_tokenizer`).
    """
    transformers = require("transformers", extra=EXTRA, purpose=PURPOSE)
    opened: Reference = transformers.AutoTokenizer.from_pretrained(
        folder, trust_remote_code=False, local_files_only=True, split_special_tokens=False
    )
    return opened


class Renderings:
    """Close it, or use it as a context manager: it holds processes. None stands for "the template refuses this"."""

    def __init__(self, record: TemplateRecord, tokenizer: TemplateTokenizer, reference: Reference) -> None:
        self._record = record
        self._tokenizer = tokenizer
        self._reference = reference
        self._names: dict[str, JsonValue] = {**record.special_tokens}
        origin = "the template of the rows"
        self._process = TemplateProcess(record.source, origin, lenient=True, date=record.date)
        try:
            self._form = TemplateFormat(record.source, origin, tokenizer)
        except BaseException:
            self._process.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.close()
        self._form.close()

    @property
    def ends(self) -> frozenset[int]:
        """The tokens that the template ends an answer with."""
        return self._form.ends

    @property
    def of_another_day(self) -> bool:
        """Whether the rows were made on another day, and the template says which."""
        return self._record.date not in (None, datetime.now().date().isoformat())

    def theirs(self, turns: Sequence[Message], tools: Sequence[JsonValue], *, opened: bool = False) -> list[int] | None:
        """Ids that `apply_chat_template` gives."""
        try:
            found = self._reference.apply_chat_template(
                [chat_message(turn) for turn in turns],
                [*tools] or None,
                chat_template=self._record.source,
                add_generation_prompt=opened,
                return_dict=False,
            )
        except TemplateError:
            return None
        return list(found)

    def ours(self, turns: Sequence[Message], tools: Sequence[JsonValue], *, opened: bool = False) -> list[int] | None:
        """Ids as rows are made, on the day they were made."""
        text = self.text(turns, tools, opened=opened)
        return None if text is None else self._tokenizer.encode(text)

    def text(self, turns: Sequence[Message], tools: Sequence[JsonValue], *, opened: bool = False) -> str | None:
        """The text of a conversation on the day that its row was made."""
        chat: list[JsonValue] = [chat_message(turn) for turn in turns]
        try:
            text = self._process.render(chat, tools, opened=opened, names=self._names)
        except RecipeError:
            return None
        return "".join(part for part, _ in marked_parts(text))

    def served(self, turns: Sequence[Message]) -> list[int] | None:
        """Ids that a chat sends, for turns that a chat can hold."""
        asked = [ChatMessage.model_validate({"role": turn.role, "content": turn.content}) for turn in turns]
        try:
            return self._form.prompt(asked)[0]
        except RecipeError:
            return None


def can_be_served(turns: Sequence[Message], tools: Sequence[JsonValue]) -> bool:
    """Whether a chat can hold these turns: it has no tools and no names."""
    plain = all(turn.role != "tool" and not turn.tool_calls and turn.name is None for turn in turns)
    return plain and not tools and bool(turns)
