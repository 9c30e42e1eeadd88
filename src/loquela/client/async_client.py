"""The same as `Client`, for programs that wait for many things at once."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import aclosing
from pathlib import Path
from types import TracebackType
from typing import Literal, Self, TypeVar

import httpx
from pydantic import JsonValue

from loquela.client import answers, calls, operations
from loquela.client.calls import Call, Json
from loquela.client.connection import TRIES, connection, pause_before
from loquela.client.failures import BUSY, failure, made, other_bytes, refusal, unreachable
from loquela.client.patience import Patience, looks
from loquela.client.server_events import EventParser, ServerEvent
from loquela.core.atomic import atomic_path
from loquela.core.errors import DataError, ErrorCode, LoquelaError

T = TypeVar("T")


class AsyncClient:
    """Every verb of the service, awaited.

    `url` and `key` default to LOQUELA_SERVER and LOQUELA_API_KEY. What the service refuses is raised as the same
    error that the command line would show, with code, message and remedy; what may pass (a connection that breaks,
    HTTP 429 and 503) is tried again where that cannot do anything twice.
    """

    def __init__(self, url: str | None = None, key: str | None = None, *, timeout_seconds: float = 60.0) -> None:
        self._connection = connection(url, key, timeout_seconds)
        self._http = httpx.AsyncClient(
            base_url=self._connection.url, headers=self._connection.headers, timeout=timeout_seconds
        )

    @property
    def url(self) -> str:
        """The address of the service."""
        return self._connection.url

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Give the connections back."""
        await self._http.aclose()

    async def me(self) -> answers.ApiKey:
        """The key in use and what it may do."""
        return await self.send(calls.me())

    async def train(
        self,
        recipe: str | Json,
        *,
        until: str | None = None,
        priority: int = 0,
        labels: Mapping[str, str] | None = None,
        idempotency_key: str | None = None,
    ) -> answers.Run:
        """Queue a run. `recipe` is what a recipe file holds: its YAML text, or an object."""
        return await self.send(calls.train(recipe, until, priority, labels, idempotency_key))

    async def plan(self, recipe: str | Json, *, until: str | None = None) -> answers.Plan:
        """What a recipe would do and need; nothing is queued."""
        return await self.send(calls.plan(recipe, until))

    async def validate(self, recipe: str | Json, *, until: str | None = None) -> answers.Validation:
        """Whether a recipe would be taken, and everything that is wrong with it."""
        return await self.send(calls.validate(recipe, until))

    async def runs(self, *, before: int | None = None, limit: int = 50, states: Sequence[str] = ()) -> answers.RunPage:
        """Runs, newest first, a page at a time."""
        return await self.send(calls.runs(before, limit, states))

    async def run(self, run_id: str) -> answers.Run:
        """One run."""
        return await self.send(calls.run(run_id))

    async def cancel(self, run_id: str) -> answers.Run:
        """Stop a run with everything saved."""
        return await self.send(calls.change(run_id, "cancel"))

    async def pause(self, run_id: str) -> answers.Run:
        """Stop a run until it is resumed."""
        return await self.send(calls.change(run_id, "pause"))

    async def resume(self, run_id: str) -> answers.Run:
        """Queue a stopped run again; it goes on from its last checkpoint."""
        return await self.send(calls.change(run_id, "resume"))

    async def compare(self, run_id: str, other_id: str) -> answers.RunComparison:
        """What differs between two runs."""
        return await self.send(calls.compare(run_id, other_id))

    async def events(
        self,
        *,
        after: int | Literal["latest"] = 0,
        run_id: str | None = None,
        job_id: str | None = None,
        limit: int = 100,
    ) -> answers.EventPage:
        """Events behind number `after`, oldest first: of a run, of a job, or of all."""
        return await self.send(calls.events(after, run_id, limit, job_id))

    async def follow(
        self,
        run_id: str | None = None,
        *,
        job_id: str | None = None,
        after: int | Literal["latest"] = 0,
        patience_seconds: float = 60.0,
    ) -> AsyncIterator[answers.Event]:
        """Events as they happen, none twice and none left out, until the run or job has ended; of all: without end.

        `after` is a number, or "latest": what happens from now on. A connection that breaks is opened again behind the
        last event; the error is raised when nothing has come through for `patience_seconds`.
        """
        patience, position = Patience(patience_seconds), after
        if position == "latest":
            position = (await self.events(after=position, run_id=run_id, job_id=job_id, limit=1)).last_seq
        while True:
            try:
                behind = {"Last-Event-ID": str(position)}
                async with aclosing(self._stream("GET", calls.stream_path(run_id, job_id), behind)) as stream:
                    async for event in stream:
                        patience.succeeded()
                        if event.name == "end":
                            return
                        position = int(event.id)
                        yield answers.Event.model_validate_json(event.data)
                raise unreachable(self.url, httpx.ReadError("the stream ended early"))
            except LoquelaError as error:
                await asyncio.sleep(patience.pause_after(error))

    async def logs(self, run_id: str, *, lines: int = 200) -> list[str]:
        """The newest lines of a run's log."""
        return (await self.send(calls.logs(run_id, lines))).lines

    async def follow_log(self, run_id: str, *, patience_seconds: float = 60.0) -> AsyncIterator[str]:
        """The lines of a run's log from its beginning, as they are written, until the run has ended; as `follow`."""
        patience, position = Patience(patience_seconds), "0"
        while True:
            try:
                stream_path, behind = calls.logs_stream_path(run_id), {"Last-Event-ID": position}
                async with aclosing(self._stream("GET", stream_path, behind)) as stream:
                    async for event in stream:
                        patience.succeeded()
                        if event.name == "end":
                            return
                        position = event.id
                        yield event.data
                raise unreachable(self.url, httpx.ReadError("the stream ended early"))
            except LoquelaError as error:
                await asyncio.sleep(patience.pause_after(error))

    async def metric_names(self, run_id: str) -> list[str]:
        """The metrics that a run has told."""
        return (await self.send(calls.metric_names(run_id))).keys

    async def metrics(self, run_id: str, names: Sequence[str], *, most: int = 1000) -> list[answers.Series]:
        """Metrics by name, each with at most about `most` points, extremes kept."""
        return await self.send(calls.metrics(run_id, names, most))

    async def generate(self, run_id: str, request: Json, *, idempotency_key: str | None = None) -> answers.Generated:
        """Text from a run's model; waits for it. `request` has the fields of a generation, e.g. prompt_text."""
        asked = await self.send(calls.generate(run_id, request, idempotency_key))
        for pause in looks():
            if asked.status in answers.ENDED:
                break
            await asyncio.sleep(pause)
            asked = await self.send(calls.generated(run_id, asked.request_id))
        if asked.error is not None:
            raise made(asked.error, 422)
        return asked

    async def score(self, run_id: str, request: Json, *, idempotency_key: str | None = None) -> answers.Scored:
        """How well a run's model expects a text; waits for it."""
        asked = await self.send(calls.score(run_id, request, idempotency_key))
        for pause in looks():
            if asked.status in answers.ENDED:
                break
            await asyncio.sleep(pause)
            asked = await self.send(calls.scored(run_id, asked.request_id))
        if asked.error is not None:
            raise made(asked.error, 422)
        return asked

    async def chat(self, run_id: str, request: Json) -> answers.ChatTurn:
        """The model's next turn, whole."""
        return await self.send(calls.chat(run_id, request))

    async def chat_stream(self, run_id: str, request: Json, turns: list[answers.ChatTurn]) -> AsyncIterator[str]:
        """The model's next turn in pieces, as it is written; the whole turn is added to `turns` at its end."""
        async with aclosing(self._stream("POST", calls.chat_stream_path(run_id), {}, dict(request))) as stream:
            async for event in stream:
                for piece in calls.chat_piece(event, turns):
                    yield piece

    async def jobs(
        self,
        *,
        before: int | None = None,
        limit: int = 50,
        kind: str | None = None,
        states: Sequence[str] = (),
        run_id: str | None = None,
    ) -> answers.JobPage:
        """Jobs of every kind, newest first, a page at a time."""
        return await self.send(calls.jobs(before, limit, kind, states, run_id))

    async def job(self, job_id: str) -> answers.Job:
        """One job of any kind."""
        return await self.send(calls.job(job_id))

    async def cancel_job(self, job_id: str) -> answers.Job:
        """Stop a job."""
        return await self.send(calls.change_job(job_id, "cancel"))

    async def resume_job(self, job_id: str) -> answers.Job:
        """Queue a job again that was stopped, or failed."""
        return await self.send(calls.change_job(job_id, "resume"))

    async def wait(self, job_id: str) -> answers.Job:
        """Wait until a job has ended; where it failed or was stopped, its error is raised, as the work itself would."""
        found = await self.job(job_id)
        for pause in looks():
            if found.ended:
                break
            await asyncio.sleep(pause)
            found = await self.job(job_id)
        if (error := failure(found)) is not None:
            raise error
        return found

    async def evaluate(self, run_id: str, request: Json, *, idempotency_key: str | None = None) -> answers.Evaluation:
        """Queue an evaluation on a split, or on a text of its own; `wait` for its `job_id`, then `evaluation`."""
        return await self.send(calls.evaluate(run_id, request, idempotency_key))

    async def evaluation(self, run_id: str, job_id: str | None = None) -> answers.Evaluation:
        """The newest evaluation of a run, or that of a job."""
        return await self.send(calls.evaluation(run_id, job_id))

    async def export(self, run_id: str, request: Json, *, idempotency_key: str | None = None) -> answers.Job:
        """Queue an export, e.g. {"format": "gguf", "quantize": "int8"}."""
        return await self.send(calls.work_on(run_id, "exports", request, idempotency_key))

    async def exports(self, run_id: str) -> list[answers.Export]:
        """The exports of a run."""
        return (await self.send(calls.exports(run_id))).exports

    async def deploy_check(self, run_id: str, request: Json, *, idempotency_key: str | None = None) -> answers.Job:
        """Queue the deployment check of an export, e.g. {"export": "gguf-int8"}."""
        return await self.send(calls.work_on(run_id, "deploy-checks", request, idempotency_key))

    async def deploy_checks(self, run_id: str, *, before: int | None = None, limit: int = 50) -> answers.JobPage:
        """Deployment checks of a run, newest first, each with its report as soon as it is done."""
        return await self.send(calls.deploy_checks(run_id, before, limit))

    async def promote(self, run_id: str, request: Json, *, idempotency_key: str | None = None) -> answers.Job:
        """Queue the promotion of an export that has passed its check, e.g. {"export": "gguf-int8"}."""
        return await self.send(calls.work_on(run_id, "promotions", request, idempotency_key))

    async def promotions(self, run_id: str) -> answers.Promotions:
        """Which export of a run is in use, and which were before."""
        return await self.send(calls.promotions(run_id))

    async def merge(self, run_id: str) -> answers.Job:
        """Queue the merge of a fine-tuning's adapter."""
        return await self.send(calls.work_on(run_id, "merge", {}))

    async def verify(self, run_id: str) -> answers.Job:
        """Queue the proof that a run on disk is what it was."""
        return await self.send(calls.work_on(run_id, "verify", {}))

    async def train_tokenizer(self, request: Json, *, idempotency_key: str | None = None) -> answers.Tokenizer:
        """Queue the training of a tokenizer alone."""
        return await self.send(calls.train_tokenizer(request, idempotency_key))

    async def tokenizer(self, tokenizer_id: str) -> answers.Tokenizer:
        """A tokenizer and what was measured of it."""
        return await self.send(calls.tokenizer(tokenizer_id))

    async def tokenizers(self, *, before: int | None = None, limit: int = 50) -> answers.TokenizerPage:
        """Tokenizers that were trained alone, newest first."""
        return await self.send(calls.tokenizers(before, limit))

    async def artifacts(self, run_id: str) -> answers.RunArtifacts:
        """What is stored of a run."""
        return await self.send(calls.artifacts(run_id))

    async def stored(
        self, *, before: int | None = None, limit: int = 50, kind: str | None = None
    ) -> answers.ArtifactPage:
        """What is stored of all runs, newest first; `kind` is run, model, tokenizer, evaluation or export."""
        return await self.send(calls.stored(before, limit, kind))

    async def download(self, artifact: answers.Artifact, place: Path) -> None:
        """Write an artifact's tarball to `place`, whole and with its SHA-256 proven, or not at all.

        Raises DataError(CORRUPTION) for other bytes than were promised, ResourceError where it breaks off.
        """
        path = calls.artifact_path(artifact.kind, artifact.id)
        with atomic_path(place) as temporary, temporary.open("wb") as written:
            try:
                async with self._http.stream("GET", path, timeout=self._connection.stream_timeout) as response:
                    if not response.is_success:
                        await response.aread()
                        raise refusal(response)
                    digest = hashlib.sha256()
                    async for piece in response.aiter_bytes():
                        digest.update(piece)
                        written.write(piece)
            except httpx.HTTPError as error:
                raise unreachable(self.url, error) from error
            if digest.hexdigest() != artifact.file_id:
                raise other_bytes(path)

    async def upload(self, path: Path, *, purpose: str = "user_data") -> answers.UploadedFile:
        """Send a file; recipes name it as `upload:<id>`."""
        try:
            with path.open("rb") as stream:
                response = await self._http.post(
                    "/v1/files", files={"file": (path.name, stream)}, data={"purpose": purpose}, timeout=None
                )
        except OSError as error:
            raise DataError(ErrorCode.READ_FAILED, f"{path} cannot be read: {error}", "check its name") from error
        except httpx.HTTPError as error:
            raise unreachable(self.url, error) from error
        if not response.is_success:
            raise refusal(response)
        return answers.UploadedFile.model_validate_json(response.content)

    async def alerts(self) -> operations.Alerts:
        """What is wrong now."""
        return await self.send(calls.alerts())

    async def deliveries(
        self, *, before: int | None = None, limit: int = 50, subject: str | None = None
    ) -> operations.DeliveryPage:
        """What channels were told, newest first; of one run, job or the service where `subject` names it."""
        return await self.send(calls.deliveries(before, limit, subject))

    async def try_alerts(self, channel: str | None = None) -> list[str]:
        """Queue a message for one channel, or for each; the ids of the deliveries."""
        return (await self.send(calls.try_alerts(channel))).deliveries

    async def audit(self, *, after: int = 0, limit: int = 100, action: str | None = None) -> operations.AuditPage:
        """Who did what, oldest first."""
        return await self.send(calls.audit(after, limit, action))

    async def send(self, call: Call[T]) -> T:
        """Send one call; its answer, or the error that came instead."""
        for number in range(1, TRIES + 1):
            last = number == TRIES or not call.repeatable
            try:
                response = await self._http.request(
                    call.method, call.path, params=call.query or None, json=call.body, headers=call.headers
                )
            except httpx.HTTPError as error:
                if last or not isinstance(error, httpx.TransportError):
                    raise unreachable(self.url, error) from error
                await asyncio.sleep(pause_before(number + 1, None))
                continue
            if response.is_success:
                return call.read(response.content)
            if last or response.status_code not in BUSY:
                raise refusal(response)
            await asyncio.sleep(pause_before(number + 1, response))
        raise AssertionError("the last try returns or raises")

    async def _stream(
        self, method: str, path: str, headers: dict[str, str], body: dict[str, JsonValue] | None = None
    ) -> AsyncGenerator[ServerEvent, None]:
        parser = EventParser()
        timeout = self._connection.stream_timeout
        try:
            async with self._http.stream(method, path, headers=headers, json=body, timeout=timeout) as response:
                if not response.is_success:
                    await response.aread()
                    raise refusal(response)
                async for line in response.aiter_lines():
                    event = parser.feed(line)
                    if event is not None:
                        yield event
        except httpx.HTTPError as error:
            raise unreachable(self.url, error) from error
