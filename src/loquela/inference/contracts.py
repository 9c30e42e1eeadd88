"""What is asked of the engine, and what it answers; the limits stand here and nowhere else."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self, TypeVar

from pydantic import Field, JsonValue, ValidationError, model_validator

from loquela.core.errors import ErrorCode, RecipeError
from loquela.core.model import BoundaryModel
from loquela.core.near_names import unknown_name

LONGEST_SHOWN = 60
StopSequence = Annotated[str, Field(min_length=1, max_length=256)]


class GenerateRequest(BoundaryModel):
    """A prompt and how to go on from it. An absent or empty prompt starts a new document."""

    prompt_text: str | None = Field(None, description="the prompt itself; or give prompt_path")
    prompt_path: Path | None = Field(None, description="UTF-8 file that holds the prompt; or give prompt_text")
    max_new_tokens: int = Field(60, ge=1, le=512, description="tokens to generate at most, 1–512")
    temperature: float = Field(0.8, ge=0, le=100, description="0 is greedy; 1 samples as the model believes")
    top_k: int | None = Field(None, ge=1, description="sample from the k likeliest tokens only; null: from all")
    top_p: float | None = Field(
        None, gt=0, le=1, description="sample from the likeliest tokens that reach this mass; null: from all"
    )
    stop_on_eos: bool = Field(True, description="end a sequence at the end-of-document token")
    stop_sequences: list[StopSequence] = Field(
        default_factory=list, max_length=16, description="end a sequence before the first of these texts"
    )
    seed: int = Field(1337, ge=0, lt=2**31, description="sequence i is drawn with seed + i, whatever else is asked")
    num_return_sequences: int = Field(1, ge=1, le=10, description="sequences to generate, 1–10")

    @model_validator(mode="after")
    def _one_prompt(self) -> Self:
        if self.prompt_text is not None and self.prompt_path is not None:
            raise ValueError("prompt_text and prompt_path are mutually exclusive: give one of them")
        return self


class GenerateResult(BoundaryModel):
    """One entry per sequence in `outputs` (the text after the prompt), `steps` and `eos_terminated`.

    `steps` counts sampled tokens, the end-of-document token included. `notes` says what the reader of the text
    should know: a prompt that was cut to the context window, or a window that had to slide.
    """

    outputs: list[str]
    steps: list[int]
    eos_terminated: list[bool]
    notes: list[str] = Field(default_factory=list)


class ScoreRequest(BoundaryModel):
    """A text to measure."""

    text: str | None = Field(None, description="the text itself; or give path")
    path: Path | None = Field(None, description="UTF-8 file that holds the text; or give text")
    detail_level: Literal["summary", "per_char"] = Field(
        "summary", description="per_char also spreads the surprisal over the characters"
    )
    top_k: int | None = Field(None, ge=1, le=100, description="report the k likeliest tokens at every position")
    seed: int = Field(1337, ge=0, lt=2**31, description="kept with the request; scoring draws nothing at random")

    @model_validator(mode="after")
    def _one_text(self) -> Self:
        if (self.text is None) == (self.path is None):
            raise ValueError("text and path are mutually exclusive: give exactly one of them")
        return self


class TokenChoice(BoundaryModel):
    """A token that the model thought possible; `log_probability` in nats."""

    id: int
    token: str
    log_probability: float


class CharacterSurprisal(BoundaryModel):
    """One character and its share, in nats, of the surprisal of the token(s) that wrote it."""

    character: str
    surprisal: float


class ScoreResult(BoundaryModel):
    """`loss` is the mean of `surprisal` (−ln p of every token, in nats), `perplexity` is exp(loss).

    The text is scored as the beginning of a document: the first token is predicted from the end-of-document
    token alone. `topk` has one list per token, likeliest first, when the request asks for it. `characters` (detail
    level per_char): the surprisal of a token is spread evenly over the characters it adds to the decoded text; a
    token that adds none hands its share to the next that does, so the sum over characters is the sum over tokens.
    """

    loss: float
    perplexity: float
    surprisal: list[float]
    topk: list[list[TokenChoice]] | None = None
    tokens: list[str]
    characters: list[CharacterSurprisal] | None = None
    notes: list[str] = Field(default_factory=list)


Request = TypeVar("Request", bound=BoundaryModel)


def checked_request(kind: type[Request], values: dict[str, JsonValue]) -> Request:
    """Make a request from JSON or command-line values.

    Raises RecipeError(CONFIG_INVALID) that names every wrong field, what it was and what is allowed.
    """
    unknown = sorted(set(values) - set(kind.model_fields))
    if unknown:
        raise RecipeError(
            ErrorCode.CONFIG_INVALID,
            unknown_name("request field", unknown[0], kind.model_fields),
            "remove that field or correct its name",
        )
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        faults = []
        for fault in error.errors(include_url=False, include_context=False):
            where = ".".join(str(part) for part in fault["loc"])
            reason = fault["msg"].removeprefix("Value error, ")
            given = repr(fault["input"])
            shown = given if len(given) <= LONGEST_SHOWN else given[:LONGEST_SHOWN] + "…"
            faults.append(f"{where} is {shown}: {reason}" if where else reason)
        raise RecipeError(
            ErrorCode.CONFIG_INVALID,
            "the request cannot be used: " + "; ".join(faults),
            "correct the values named above",
        ) from error
