"""The model that a command line names: opened here, or asked for at the service of `--server`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from loquela.cli.options import model_place
from loquela.cli.remote.service import named_run, service_in_use

if TYPE_CHECKING:
    from loquela.inference.chat_contracts import ChatRequest, ChatResult
    from loquela.inference.contracts import GenerateRequest, GenerateResult, ScoreRequest, ScoreResult


class Writer(Protocol):
    """Goes on from prompts and measures texts."""

    def generate(self, request: GenerateRequest) -> GenerateResult:
        """One result of one or more texts."""

    def stream(self, request: GenerateRequest, notes: list[str]) -> Iterator[str]:
        """One text in pieces."""

    def score(self, request: ScoreRequest) -> ScoreResult:
        """How well the model expects a text."""


class Talker(Protocol):
    """Answers conversations."""

    def stream(self, request: ChatRequest, results: list[ChatResult]) -> Iterator[str]:
        """The next turn in pieces; its result is added at the end."""


def writer_of(model: str, output_directory: Path) -> Writer:
    """The model called `model`."""
    client = service_in_use()
    if client is not None:
        from loquela.cli.remote.models import RemoteModel

        return RemoteModel(client, named_run(client, model).run_id)
    place = model_place(model, output_directory)

    from loquela.inference.open import open_engine

    return open_engine(place)


@contextmanager
def talker_of(model: str, output_directory: Path, notes: list[str]) -> Iterator[Talker]:
    """The model called `model`, to talk with; what its reader should know is added to `notes`."""
    client = service_in_use()
    if client is not None:
        from loquela.cli.remote.models import RemoteChat

        yield RemoteChat(client, named_run(client, model).run_id)
        return
    place = model_place(model, output_directory)

    from loquela.inference.open_chat import open_chat

    with open_chat(place) as chat:
        notes += [chat.form.note] if chat.form.note else []
        yield chat
