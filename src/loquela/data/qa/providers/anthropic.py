"""Claude through Anthropic's SDK: single messages and message batches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pydantic import BaseModel, JsonValue

from loquela.core.extras import require
from loquela.data.qa.providers.contract import (
    BatchProgress,
    BatchResult,
    Completion,
    ProviderFailure,
    Request,
    StopReason,
    Usage,
)
from loquela.data.qa.providers.failures import told_alike, without_secrets
from loquela.data.qa.providers.models import ModelFacts

DEFAULT_ENDPOINT = "https://api.anthropic.com"
_STOPS: dict[str, StopReason] = {
    "refusal": "refusal",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
}


class _Block(BaseModel):
    type: str
    text: str = ""


class _Usage(BaseModel):
    input_tokens: int
    output_tokens: int
    cache_creation_input_tokens: int | None = None
    cache_read_input_tokens: int | None = None


class _Message(BaseModel):
    """The parts of an answer that are read; thinking and other blocks are passed over."""

    content: list[_Block]
    stop_reason: str | None = None
    usage: _Usage


class _Fault(BaseModel):
    type: str = "api_error"
    message: str = ""


class _FaultBody(BaseModel):
    error: _Fault = _Fault()


class _Outcome(BaseModel):
    type: str
    message: _Message | None = None
    error: _FaultBody = _FaultBody()


class _ResultLine(BaseModel):
    custom_id: str
    result: _Outcome


class _Counts(BaseModel):
    succeeded: int = 0
    errored: int = 0
    canceled: int = 0
    expired: int = 0


class _Batch(BaseModel):
    id: str
    processing_status: str
    request_counts: _Counts = _Counts()


class AnthropicProvider:
    """Asks one model of Anthropic, or of a gateway that speaks its protocol at `endpoint`."""

    name = "anthropic"

    def __init__(
        self, api_key: str, endpoint: str | None, timeout_seconds: float, facts: Mapping[str, ModelFacts]
    ) -> None:
        self._sdk = require("anthropic", extra="qa", purpose="asking Claude")
        self.endpoint = endpoint or DEFAULT_ENDPOINT
        self._key = api_key
        self._facts = facts
        # Repeating is ours to decide: every call must be recorded before it is made.
        self._client = self._sdk.Anthropic(
            api_key=api_key, base_url=self.endpoint, timeout=timeout_seconds, max_retries=0
        )

    def complete(self, request: Request) -> Completion:
        """One message."""
        with told_alike(self._sdk, self._key):
            answer = self._client.messages.create(**self._parameters(request))
            return _completion(_Message.model_validate_json(_as_json(answer)))

    def submit(self, requests: Sequence[Request]) -> str:
        """A message batch; every request in it is found again by its key."""
        entries: list[JsonValue] = [
            {"custom_id": request.key, "params": self._parameters(request, inside_batch=True)} for request in requests
        ]
        with told_alike(self._sdk, self._key):
            answer = self._client.messages.batches.create(requests=entries)
            return _Batch.model_validate_json(_as_json(answer)).id

    def progress(self, batch_id: str) -> BatchProgress:
        """Where a batch stands."""
        with told_alike(self._sdk, self._key):
            answer = self._client.messages.batches.retrieve(batch_id)
            batch = _Batch.model_validate_json(_as_json(answer))
        counts = batch.request_counts
        done = counts.succeeded + counts.errored + counts.canceled + counts.expired
        return BatchProgress(ended=batch.processing_status == "ended", done=done)

    def results(self, batch_id: str) -> Sequence[BatchResult]:
        """Every result of an ended batch, read to its end before the first is given."""
        with told_alike(self._sdk, self._key):
            lines = [
                _ResultLine.model_validate_json(_as_json(line))
                for line in self._client.messages.batches.results(batch_id)
            ]
        return [self._batch_result(line) for line in lines]

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _parameters(self, request: Request, *, inside_batch: bool = False) -> dict[str, JsonValue]:
        facts = self._facts[request.model]
        parameters: dict[str, JsonValue] = {
            "model": request.model,
            "max_tokens": request.max_output_tokens,
            # The instructions are the same in every request: what comes before the mark may be cached.
            "system": [{"type": "text", "text": request.system, "cache_control": {"type": "ephemeral"}}],
            "messages": [{"role": turn.role, "content": turn.text} for turn in request.turns],
            "output_config": {"format": {"type": "json_schema", "schema": request.answer_schema}},
        }
        if facts.thinks:
            # Thinking is on by default and paid for as output.
            parameters["thinking"] = {"type": "disabled"}
        if request.temperature is not None and facts.takes_temperature:
            more: dict[str, JsonValue] = {"temperature": request.temperature}
            parameters.update(more if inside_batch else {"extra_body": more})
        return parameters

    def _batch_result(self, line: _ResultLine) -> BatchResult:
        outcome = line.result
        if outcome.type == "succeeded" and outcome.message is not None:
            return BatchResult(line.custom_id, completion=_completion(outcome.message))
        fault = outcome.error.error
        if outcome.type == "errored" and fault.type == "invalid_request_error":
            said = without_secrets(fault.message, self._key)
            return BatchResult(line.custom_id, failure=ProviderFailure("refused_request", said))
        # Errors of the server, cancelled and expired requests are not charged for, and may be asked again.
        said = f"the batch says {outcome.type} {without_secrets(fault.message, self._key)}".strip()
        return BatchResult(line.custom_id, failure=ProviderFailure("server", said))


def _completion(message: _Message) -> Completion:
    usage = message.usage
    return Completion(
        text="".join(block.text for block in message.content if block.type == "text"),
        stop=_STOPS.get(message.stop_reason or "", "end"),
        usage=Usage(
            input_tokens=usage.input_tokens,
            output_tokens=usage.output_tokens,
            cache_write_tokens=usage.cache_creation_input_tokens or 0,
            cache_read_tokens=usage.cache_read_input_tokens or 0,
        ),
    )


def _as_json(answer: object) -> str:
    """The answer as the SDK understood it; a body that is no JSON comes from the SDK as plain text."""
    if not isinstance(answer, BaseModel):
        raise ProviderFailure("unreadable", f"the answer is no JSON object: {str(answer)[:80]!r}")
    return answer.model_dump_json()
