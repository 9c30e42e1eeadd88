"""The real SDKs against a server on this machine that speaks both protocols, and fails in every way."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from llm_server import LlmServer, cut, half_json, no_json, stall, status
from qa_samples import PLACES, passage

from loquela.artifacts.corpus import Document
from loquela.core.errors import ErrorCode, LoquelaError, RecipeError, ResourceError
from loquela.data.qa.chunks import as_chunk
from loquela.data.qa.pairs import read_pairs
from loquela.data.qa.prompts import ask_request, judge_request
from loquela.data.qa.providers.contract import ProviderFailure, Request, Usage
from loquela.data.qa.providers.failures import retry_after_seconds, without_secrets
from loquela.data.qa.providers.open import facts_of, open_batch_provider, open_provider
from loquela.recipe.qa_section import QaSection

KEY = "sk-test-0123456789abcdef"
TEXT = passage(*PLACES[0])


@pytest.fixture
def server() -> Iterator[LlmServer]:
    running = LlmServer()
    yield running
    running.close()


@pytest.fixture(autouse=True)
def keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", KEY)
    monkeypatch.setenv("OPENAI_API_KEY", KEY)


def section_for(kind: str, server: LlmServer, **values: object) -> QaSection:
    more = {} if kind == "anthropic" else {"model": "gpt-6-luna"}
    return QaSection.model_validate({"provider": kind, "base_url": server.url, "timeout_seconds": 1, **more, **values})


def request_for(section: QaSection, text: str = TEXT, **values: object) -> Request:
    document = Document(id="d", text=text, source="s", language="en", split="train")
    model = section.model or "claude-haiku-5-5"
    return ask_request(
        as_chunk(document, "auto"), [("fact", "basic")] * 2, model=model, endpoint=section.base_url or ""
    )


def key_sent(headers: dict[str, str]) -> str:
    """Versions of the SDK differ in the header that carries the key."""
    return headers.get("x-api-key") or headers["authorization"].removeprefix("Bearer ")


@pytest.mark.parametrize("kind", ["anthropic", "openai"])
def test_an_answer_and_its_usage(kind: str, server: LlmServer) -> None:
    section = section_for(kind, server)
    provider = open_provider(section, facts_of(section))
    answer = provider.complete(request_for(section))
    assert len(read_pairs(answer.text)[0]) == 2
    assert answer.stop == "end"
    assert answer.usage == (Usage(500, 200, 40, 60) if kind == "anthropic" else Usage(600, 200))
    provider.close()


def test_what_claude_is_sent(server: LlmServer) -> None:
    section = section_for("anthropic", server)
    open_provider(section, facts_of(section)).complete(request_for(section))
    path, body, headers = server.seen[0]
    assert path == "/v1/messages"
    assert key_sent(headers) == KEY
    assert body["model"] == "claude-haiku-5-5"
    assert body["system"][0]["cache_control"] == {"type": "ephemeral"}
    assert body["thinking"] == {"type": "disabled"}
    assert body["output_config"]["format"]["type"] == "json_schema"
    assert "temperature" not in body  # this model refuses it
    assert TEXT in body["messages"][0]["content"]


def test_the_judge_is_asked_without_chance_where_a_model_takes_that(server: LlmServer) -> None:
    section = section_for("anthropic", server, model="claude-haiku-4-5")
    provider = open_provider(section, facts_of(section))
    document = Document(id="d", text=TEXT, source="s", language="en", split="train")
    pairs, _ = read_pairs(provider.complete(request_for(section)).text)
    chunk = as_chunk(document, "auto")
    provider.complete(judge_request(chunk, pairs, model="claude-haiku-4-5", endpoint=server.url))
    bodies = [body for _, body, _ in server.seen]
    assert "temperature" not in bodies[0]
    assert bodies[1]["temperature"] == 0
    assert "thinking" not in bodies[1]


def test_what_an_openai_server_is_sent(server: LlmServer) -> None:
    section = section_for("openai", server)
    open_provider(section, facts_of(section)).complete(request_for(section))
    path, body, headers = server.seen[0]
    assert path == "/chat/completions"
    assert key_sent(headers) == KEY
    assert body["response_format"]["json_schema"]["strict"] is True
    assert body["reasoning_effort"] == "none"
    assert body["max_completion_tokens"] > 0


def test_a_server_without_schemas_is_asked_in_the_form_it_knows(server: LlmServer) -> None:
    price = {"model": "house", "input_usd_per_million_tokens": 0, "output_usd_per_million_tokens": 0}
    section = section_for("openai", server, model="house", prices=[price])
    provider = open_provider(section, facts_of(section))
    server.faults = [
        status(400, "response_format json_schema is not supported"),
        status(400, "unknown response_format"),
    ]
    assert read_pairs(provider.complete(request_for(section)).text)[0]
    provider.complete(request_for(section))
    forms = [body.get("response_format", {}).get("type") for _, body, _ in server.seen]
    assert forms == ["json_schema", "json_object", None, None]
    assert "max_tokens" in server.seen[0][1]


@pytest.mark.parametrize("kind", ["anthropic", "openai"])
@pytest.mark.parametrize(
    ("fault", "failure", "wait"),
    [
        (status(429, retry_after="7"), "rate_limited", 7.0),
        (status(529), "rate_limited", None),
        (status(500), "server", None),
        (status(503), "server", None),
        (status(401), "auth", None),
        (status(403), "auth", None),
        (status(400), "refused_request", None),
        (status(404), "refused_request", None),
        (stall, "timeout", None),
        (cut, "connection", None),
        (no_json, "unreadable", None),
        (half_json, "unreadable", None),
    ],
    ids=["429", "529", "500", "503", "401", "403", "400", "404", "stalled", "cut", "no json", "half json"],
)
def test_every_fault_has_its_kind(
    kind: str, fault: object, failure: str, wait: float | None, server: LlmServer
) -> None:
    section = section_for(kind, server, timeout_seconds=0.5)
    server.faults = [fault]
    with pytest.raises(ProviderFailure) as caught:
        open_provider(section, facts_of(section)).complete(request_for(section))
    assert caught.value.kind == failure
    assert caught.value.retry_after_seconds == wait
    assert len(server.seen) == 1  # the SDK repeats nothing on its own


@pytest.mark.parametrize("kind", ["anthropic", "openai"])
def test_no_failure_quotes_the_key(kind: str, server: LlmServer) -> None:
    section = section_for(kind, server)
    provider = open_provider(section, facts_of(section))
    for code in (400, 401, 500):
        server.faults = [status(code, f"Incorrect API key provided: {KEY}, or sk-pro***********wxyz")]
        with pytest.raises(ProviderFailure) as caught:
            provider.complete(request_for(section))
        assert KEY not in caught.value.message
        assert "wxyz" not in caught.value.message


@pytest.mark.parametrize("kind", ["anthropic", "openai"])
def test_a_refusal_is_an_answer_of_its_kind(kind: str, server: LlmServer) -> None:
    server.answer = lambda system, body: "REFUSED"
    section = section_for(kind, server)
    assert open_provider(section, facts_of(section)).complete(request_for(section)).stop == "refusal"


def test_the_environment_cannot_redirect_a_key(server: LlmServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_BASE_URL", "http://127.0.0.1:9")
    section = section_for("anthropic", server)
    open_provider(section, facts_of(section)).complete(request_for(section))
    assert len(server.seen) == 1


# --- batches -----------------------------------------------------------------------------------------------------


def test_a_batch_from_hand_in_to_results(server: LlmServer) -> None:
    section = section_for("anthropic", server, batch=True)
    provider = open_batch_provider(section, facts_of(section))
    requests = [request_for(section, passage(*place)) for place in PLACES]
    batch = provider.submit(requests)
    assert not provider.progress(batch).ended
    assert provider.progress(batch).ended
    results = {result.key: result for result in provider.results(batch)}
    assert set(results) == {request.key for request in requests}
    assert all(result.completion is not None for result in results.values())


def test_each_fate_inside_a_batch(server: LlmServer) -> None:
    fates = iter(
        [
            {"type": "expired"},
            {"type": "canceled"},
            {"type": "errored", "error": {"type": "error", "error": {"type": "api_error", "message": "oops"}}},
            {
                "type": "errored",
                "error": {"type": "error", "error": {"type": "invalid_request_error", "message": "too long"}},
            },
        ]
    )
    server.batch_outcome = lambda entry: next(fates)
    section = section_for("anthropic", server, batch=True)
    provider = open_batch_provider(section, facts_of(section))
    requests = [request_for(section, passage(*place)) for place in PLACES[:4]]
    batch = provider.submit(requests)
    server.polls_before_end = 0
    kinds = [result.failure.kind for result in provider.results(batch) if result.failure is not None]
    assert kinds == ["server", "server", "server", "refused_request"]


def test_results_that_are_cut_off_are_not_half_taken(server: LlmServer) -> None:
    section = section_for("anthropic", server, batch=True)
    provider = open_batch_provider(section, facts_of(section))
    batch = provider.submit([request_for(section, passage(*place)) for place in PLACES])
    server.polls_before_end = 0

    def cut_lines(handler: object) -> None:
        lines = "\n".join(json.dumps(handler.batch_line(entry)) for entry in server.batches[batch])
        handler.send_response(200)
        handler.send_header("Content-Type", "application/x-jsonl")
        handler.send_header("Content-Length", str(len(lines) + 1))
        handler.end_headers()
        handler.wfile.write(lines[: len(lines) // 2].encode())
        handler.close_connection = True

    def ended(handler: object) -> None:
        handler.send_json(handler.batch_state(batch, ended=True))

    server.faults = [ended, cut_lines]
    with pytest.raises(ProviderFailure) as caught:
        provider.results(batch)
    assert caught.value.kind in ("connection", "unreadable")
    assert len(provider.results(batch)) == len(PLACES)


# --- credentials -------------------------------------------------------------------------------------------------


def test_without_a_key_nothing_is_tried(server: LlmServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ANTHROPIC_API_KEY")
    section = section_for("anthropic", server)
    with pytest.raises(ResourceError, match="the variable ANTHROPIC_API_KEY is not set") as caught:
        open_provider(section, facts_of(section))
    assert caught.value.code is ErrorCode.AUTH_FAILED
    assert "qa.provider: offline needs none" in caught.value.remedy


def test_a_server_of_ones_own_needs_no_key(server: LlmServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY")
    section = section_for("openai", server)
    assert open_provider(section, facts_of(section)).complete(request_for(section)).text
    assert KEY not in server.seen[0][2]["authorization"]


def test_a_stored_credential(server: LlmServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOQUELA_CREDENTIAL_CLAUDE", "stored-key-1")
    section = section_for("anthropic", server, credential="claude")
    open_provider(section, facts_of(section)).complete(request_for(section))
    assert key_sent(server.seen[0][2]) == "stored-key-1"
    monkeypatch.setenv("LOQUELA_CREDENTIAL_CLAUDE", '{"kind": "bearer", "token": "t", "host": "elsewhere.example"}')
    with pytest.raises(RecipeError, match="it is for elsewhere.example only"):
        open_provider(section, facts_of(section))


def test_a_key_is_not_sent_in_the_clear() -> None:
    section = QaSection(provider="anthropic", base_url="http://models.example.org")
    with pytest.raises(RecipeError, match="would carry the credential over the network in the clear"):
        open_provider(section, facts_of(section))


@pytest.mark.parametrize(("header", "seconds"), [("3", 3.0), ("0.5", 0.5), ("-1", 0.0), (None, None), ("soon", None)])
def test_retry_after(header: str | None, seconds: float | None) -> None:
    assert retry_after_seconds(header) == seconds


def test_retry_after_as_a_date() -> None:
    assert retry_after_seconds("Wed, 21 Oct 2015 07:28:00 GMT") == 0.0


def test_what_looks_like_a_key_is_taken_out() -> None:
    assert without_secrets("key hunter2 and sk-ant-api03-xyz\nend", "hunter2") == "key … and … end"
    assert len(without_secrets("x" * 1000, "")) == 300


def test_a_missing_sdk_says_how_to_get_it(server: LlmServer, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "anthropic", None)
    section = section_for("anthropic", server)
    with pytest.raises(LoquelaError, match="asking Claude needs the package anthropic") as caught:
        open_provider(section, facts_of(section))
    assert caught.value.remedy == 'pip install "loquela[qa]"'
