"""Any endpoint that speaks OpenAI's chat completions, through OpenAI's SDK."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import BaseModel, JsonValue

from loquela.core.extras import require
from loquela.data.qa.providers.contract import Completion, ProviderFailure, Request, Usage
from loquela.data.qa.providers.failures import told_alike
from loquela.data.qa.providers.models import ModelFacts

DEFAULT_ENDPOINT = "https://api.openai.com/v1"
# Servers of one's own mostly want no key, but the SDK wants a word in its place.
NO_KEY = "none-needed"
# From the strictest form of "answer in JSON" to leaving it to the instructions.
Form = Literal["json_schema", "json_object", "text"]
_WEAKER: dict[Form, Form] = {"json_schema": "json_object", "json_object": "text"}


class _Content(BaseModel):
    content: str | None = None
    refusal: str | None = None


class _Choice(BaseModel):
    message: _Content
    finish_reason: str | None = None


class _Details(BaseModel):
    cached_tokens: int | None = None
    cache_write_tokens: int | None = None


class _Usage(BaseModel):
    prompt_tokens: int
    completion_tokens: int
    prompt_tokens_details: _Details | None = None


class _Answer(BaseModel):
    """The parts of an answer that are read."""

    choices: list[_Choice]
    usage: _Usage | None = None


class OpenAIProvider:
    """Asks models of OpenAI, or of a compatible server at `endpoint`."""

    name = "openai"

    def __init__(
        self, api_key: str, endpoint: str | None, timeout_seconds: float, facts: Mapping[str, ModelFacts]
    ) -> None:
        self._sdk = require("openai", extra="qa", purpose="asking an OpenAI-compatible endpoint")
        self.endpoint = endpoint or DEFAULT_ENDPOINT
        self._key = "" if api_key == NO_KEY else api_key
        self._facts = facts
        self._form: Form = "json_schema"
        # Repeating is ours to decide: every call must be recorded before it is made.
        self._client = self._sdk.OpenAI(api_key=api_key, base_url=self.endpoint, timeout=timeout_seconds, max_retries=0)

    def complete(self, request: Request) -> Completion:
        """One chat completion, in the strictest form of JSON that the server offers."""
        while True:
            form = self._form
            try:
                return self._complete(request, form)
            except ProviderFailure as failure:
                # A server that does not know the form says so with an error about it, and charges nothing.
                if failure.kind != "refused_request" or form not in _WEAKER or not _is_about_form(failure.message):
                    raise
                self._form = _WEAKER[form]

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _complete(self, request: Request, form: Form) -> Completion:
        with told_alike(self._sdk, self._key):
            answer = self._client.chat.completions.create(**self._parameters(request, form))
            if not isinstance(answer, BaseModel):
                raise ProviderFailure("unreadable", f"the answer is no JSON object: {str(answer)[:80]!r}")
            read = _Answer.model_validate_json(answer.model_dump_json())
        if not read.choices:
            raise ProviderFailure("unreadable", "the answer has no choices")
        choice = read.choices[0]
        refused = choice.message.refusal is not None or choice.finish_reason == "content_filter"
        return Completion(
            text=choice.message.content or choice.message.refusal or "",
            stop="refusal" if refused else "length" if choice.finish_reason == "length" else "end",
            usage=None if read.usage is None else _usage(read.usage),
        )

    def _parameters(self, request: Request, form: Form) -> dict[str, JsonValue]:
        facts = self._facts[request.model]
        limit = "max_completion_tokens" if self.endpoint == DEFAULT_ENDPOINT or facts.thinks else "max_tokens"
        turns: list[JsonValue] = [{"role": turn.role, "content": turn.text} for turn in request.turns]
        parameters: dict[str, JsonValue] = {
            "model": request.model,
            limit: request.max_output_tokens,
            "messages": [{"role": "system", "content": request.system}, *turns],
        }
        if form == "json_schema":
            schema: JsonValue = {"name": request.purpose, "strict": True, "schema": request.answer_schema}
            parameters["response_format"] = {"type": "json_schema", "json_schema": schema}
        elif form == "json_object":
            parameters["response_format"] = {"type": "json_object"}
        if facts.thinks:
            parameters["reasoning_effort"] = "none"
        if request.temperature is not None and facts.takes_temperature:
            parameters["temperature"] = request.temperature
        return parameters


def _is_about_form(message: str) -> bool:
    return any(word in message for word in ("response_format", "json_schema", "json_object"))


def _usage(usage: _Usage) -> Usage:
    details = usage.prompt_tokens_details or _Details()
    read, written = details.cached_tokens or 0, details.cache_write_tokens or 0
    return Usage(
        input_tokens=max(0, usage.prompt_tokens - read - written),
        output_tokens=usage.completion_tokens,
        cache_write_tokens=written,
        cache_read_tokens=read,
    )
