"""The examples artifact: what a model is fine-tuned on, one example a line, each with its split and where it came from.

examples/
  examples.jsonl    one `Example` a line, absent values left out
  ledger.json       counts at every step from files to splits, with a reason for every loss
  manifest.json     kind "examples"

Five kinds:

    messages            a conversation; its assistant's messages are learnt
    prompt_completion   a prompt and what follows it; the completion is learnt
    text                plain text; all of it is learnt
    preference          a conversation and two answers to it, the chosen and the rejected
    feedback            a conversation that ends in an answer, and whether that answer was good
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

from pydantic import Field, JsonValue, ValidationError, model_validator

from loquela.artifacts.corpus import SPLITS, Split
from loquela.core.atomic import atomic_path, write_error
from loquela.core.digests import digest_json
from loquela.core.errors import DataError, ErrorCode
from loquela.core.model import BoundaryModel

EXAMPLES_NAME = "examples.jsonl"
EXAMPLE_ID_LENGTH = 32

Role = Literal["system", "user", "assistant", "tool"]
ExampleKind = Literal["messages", "prompt_completion", "text", "preference", "feedback"]


class ToolCall(BoundaryModel):
    """An assistant's request to run the tool `name`; `id` is what the tool's answer refers to, where there is one."""

    name: str = Field(min_length=1)
    arguments: JsonValue = None
    id: str | None = None


class Message(BoundaryModel):
    """One turn. `content` is the text as it is shown to the model; empty only beside `tool_calls`.

    `trained` says whether this turn is learnt, None leaves it to the rule (the assistant's turns are, no others);
    `weight` multiplies its loss. `input_start` is where, in characters, the material begins that the instruction
    before it works on (Alpaca's input, the passage of a question); None where there is no such thing.
    """

    role: Role
    content: str
    name: str | None = None
    trained: bool | None = None
    weight: float | None = Field(None, ge=0, le=1000)
    input_start: int | None = Field(None, ge=0)
    tool_calls: list[ToolCall] = Field(default_factory=list)
    tool_call_id: str | None = None

    @property
    def instruction(self) -> str:
        """The content before the input, without the white space between them; all of it where there is no input."""
        return self.content if self.input_start is None else self.content[: self.input_start].rstrip()

    @property
    def input(self) -> str:
        """The material that the instruction works on; empty where there is none."""
        return "" if self.input_start is None else self.content[self.input_start :]

    @property
    def learnt(self) -> bool:
        """Whether its loss counts: what `trained` says, else the assistant's turns; never at weight 0."""
        wanted = self.role == "assistant" if self.trained is None else self.trained
        return wanted and self.weight != 0


class ExampleLineage(BoundaryModel):
    """Where an example came from: a row of a file, or a stretch of a document, or both.

    `row` counts the examples of the file from 1, `line` is the line that the row starts at where the format has lines.
    `document` is the id of a corpus document (a chunk), `char_start` and `char_end` the stretch of it that the
    example rests on, `pages` the pages that it lies on. `generator` names what wrote the example when it was not
    taken as it stands ("claude-…", "offline", "augment:paraphrase"); `details` is what that writer recorded (prompt
    version, evidence, judge's score, the rule that was applied).
    """

    source: str
    row: int | None = Field(None, ge=1)
    line: int | None = Field(None, ge=1)
    sha256: str | None = Field(None, description="of the row's bytes, where they can be told apart")
    document: str | None = None
    char_start: int | None = Field(None, ge=0)
    char_end: int | None = Field(None, ge=0)
    pages: list[int] = Field(default_factory=list)
    generator: str | None = None
    details: dict[str, JsonValue] = Field(default_factory=dict)


class Example(BoundaryModel):
    """One thing to learn from. Which of the content fields are set follows from `kind` (see this file's head).

    `id` is a digest of the content (`with_id` fills it in; write "" until then). `tools` are the tools' descriptions
    as they came. `group` names what must stay on one side of the split; `variant_of` is the id of the example that
    this one rewords.
    """

    id: str
    kind: ExampleKind
    messages: list[Message] = Field(default_factory=list)
    prompt: str | None = None
    completion: str | None = None
    text: str | None = None
    chosen: list[Message] = Field(default_factory=list)
    rejected: list[Message] = Field(default_factory=list)
    label: bool | None = None
    tools: list[JsonValue] = Field(default_factory=list)
    language: str | None = None
    split: Split = "train"
    lineage: ExampleLineage
    labels: dict[str, str] = Field(default_factory=dict)
    group: str | None = None
    variant_of: str | None = None

    @model_validator(mode="after")
    def _content_fits_kind(self) -> Self:
        missing = [name for name in CONTENT[self.kind] if not self._given(name)]
        extra = [name for name in CONTENT_FIELDS if name not in CONTENT[self.kind] and self._given(name)]
        if missing or extra:
            wrong = [*(f"lacks {name}" for name in missing), *(f"has no place for {name}" for name in extra)]
            raise ValueError(f"an example of kind {self.kind} {', '.join(wrong)}")
        return self

    def _given(self, name: str) -> bool:
        value = getattr(self, name)
        return value not in (None, [])


# What each kind is made of; prompt, completion and text may be empty strings, but not absent.
CONTENT: dict[ExampleKind, tuple[str, ...]] = {
    "messages": ("messages",),
    "prompt_completion": ("prompt", "completion"),
    "text": ("text",),
    "preference": ("messages", "chosen", "rejected"),
    "feedback": ("messages", "label"),
}
CONTENT_FIELDS = ("messages", "prompt", "completion", "text", "chosen", "rejected", "label")


def content_of(example: Example) -> dict[str, JsonValue]:
    """What there is to learn from in an example, as JSON: kind, content fields and tools; nothing about its making."""
    fields = {"kind", *CONTENT_FIELDS, "tools"}
    return dict(example.model_dump(mode="json", include=fields, exclude_defaults=True))


def with_id(example: Example) -> Example:
    """`example` with the id that its content gives it: the same content has the same id, wherever it came from."""
    return example.model_copy(update={"id": digest_json(content_of(example))[:EXAMPLE_ID_LENGTH]})


class ExamplesWriter:
    """Appends examples to `examples.jsonl`; the file appears when the `with` block ends without an error.

    `examples` counts what was written by split.
    """

    def __init__(self, directory: Path) -> None:
        self.path = directory / EXAMPLES_NAME
        self.examples: dict[Split, int] = dict.fromkeys(SPLITS, 0)
        self._files = ExitStack()

    def __enter__(self) -> Self:
        temporary = self._files.enter_context(atomic_path(self.path))
        self._stream = self._files.enter_context(temporary.open("wb", buffering=1 << 20))
        return self

    def write(self, example: Example) -> None:
        """Append one example; ResourceError (DISK_FULL, …) when the file system refuses."""
        line = example.model_dump_json(exclude_defaults=True).encode("utf-8")
        try:
            self._stream.write(line + b"\n")
        except OSError as error:
            raise write_error(error, self.path) from error
        self.examples[example.split] += 1

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._files.__exit__(kind, error, trace)


def read_examples(directory: Path, split: str | None = None) -> Iterator[Example]:
    """Stream the examples of a folder in written order, all of them or those of one split.

    Raises DataError: DATASET_NOT_FOUND without the file, CORRUPTION (file and line) for a line that is no example.
    """
    path = directory / EXAMPLES_NAME
    try:
        stream = path.open("rb")
    except FileNotFoundError as error:
        raise DataError(
            ErrorCode.DATASET_NOT_FOUND,
            f"no examples in {directory}: it has no {EXAMPLES_NAME}",
            "run the stage that makes them (loquela prepare-data RECIPE), or give the folder that holds them",
            details={"path": str(directory)},
        ) from error
    with stream:
        for number, line in enumerate(stream, start=1):
            try:
                example = Example.model_validate_json(line)
            except ValidationError as error:
                raise DataError(
                    ErrorCode.CORRUPTION,
                    f"{path}, line {number}, is not an example: {error.errors()[0]['msg']}",
                    f"delete {directory} and run the same command again; the stage that makes it will run anew",
                    details={"path": str(path), "line": number},
                ) from error
            if split is None or example.split == split:
                yield example
