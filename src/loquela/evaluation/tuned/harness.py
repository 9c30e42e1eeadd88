"""Tasks of lm-evaluation-harness, where it is installed: our models behind its interface, one task at a time.

The package is no dependency of ours; it brings tasks, prompts and metrics, we answer its three kinds of requests.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from types import ModuleType
from typing import Protocol

from pydantic import JsonValue

from loquela.core.errors import DataError, ErrorCode, LoquelaError, RecipeError, ResourceError
from loquela.core.near_names import nearest
from loquela.evaluation.tuned.continuations import Continuation, Encode, continuation, likelihoods
from loquela.evaluation.tuned.contracts import HarnessReport, HarnessScore, Side
from loquela.evaluation.tuned.held_out import Decode
from loquela.models.pretrained.causal import CausalModel

PACKAGE = "lm_eval"
DEFAULT_NEW_TOKENS = 256

Task = str | dict[str, JsonValue]


class Request(Protocol):
    """One request of the harness: what its kind of call takes."""

    args: tuple[object, ...]


Call = Callable[[Sequence[Request]], object]


class TaskManager(Protocol):
    """What the harness knows of tasks."""

    all_tasks: Sequence[str]


class HarnessModel:
    """One model behind the harness's interface: texts in, log-likelihoods or texts out.

    `begin_id` stands before a text without a context, as the harness asks for.
    """

    def __init__(
        self,
        model: CausalModel,
        encode: Encode,
        decode: Decode,
        *,
        begin_id: int,
        pad_id: int,
        stop_ids: Sequence[int],
        batch_size: int,
        between: Callable[[], None],
    ) -> None:
        self._model = model
        self._encode = encode
        self._decode = decode
        self._begin_id = begin_id
        self._pad_id = pad_id
        self._stop_ids = list(stop_ids)
        self._rows = batch_size
        self._between = between

    def loglikelihood(self, requests: Sequence[Request]) -> list[tuple[float, bool]]:
        """(log-probability of the continuation, whether it is the greedy one) for each (context, continuation).

        White space at the end of a context belongs to the continuation: so the words are cut where a text would be.
        """
        texts = [self._pair(*_texts(request)) for request in requests]
        return [(-nats, greedy) for nats, greedy in self._likelihoods(texts)]

    def loglikelihood_rolling(self, requests: Sequence[Request]) -> list[float]:
        """Log-probability of each whole text: every token once, each with as much before it as the context holds."""
        windows = [list(self._windows(_text(request))) for request in requests]
        found = iter(self._likelihoods([window for parts in windows for window in parts]))
        return [-sum(next(found)[0] for _ in parts) for parts in windows]

    def generate_until(self, requests: Sequence[Request]) -> list[str]:
        """Greedy continuation of each context, cut before the first of the request's stop texts.

        RecipeError(CONFIG_INVALID) for a request that wants to sample.
        """
        asked = [_generation(request) for request in requests]
        order = sorted(range(len(asked)), key=lambda place: len(asked[place][0]))
        found: dict[int, str] = {}
        for start in range(0, len(order), self._rows):
            places = order[start : start + self._rows]
            found.update(zip(places, self._generated([asked[place] for place in places]), strict=True))
        return [found[place] for place in range(len(asked))]

    @property
    def calls(self) -> dict[str, Call]:
        """The three kinds of requests, by the harness's names."""
        return {
            "loglikelihood": self.loglikelihood,
            "loglikelihood_rolling": self.loglikelihood_rolling,
            "generate_until": self.generate_until,
        }

    def _pair(self, context: str, after: str) -> Continuation:
        kept = context.rstrip()
        after = context[len(kept) :] + after
        length = self._model.facts.context
        return continuation(self._encode, kept, after, begin_id=self._begin_id, context=length)

    def _windows(self, text: str) -> Iterator[Continuation]:
        ids = [self._begin_id, *self._encode(text)]
        length = self._model.facts.context
        # Of a window of `length` tokens and the one it predicts last, all but the first can be predicted.
        for start in range(1, len(ids), length):
            end = min(start + length, len(ids))
            begin = max(0, end - length - 1)
            yield Continuation(tuple(ids[begin:end]), start - begin)

    def _likelihoods(self, texts: Sequence[Continuation]) -> list[tuple[float, bool]]:
        found = likelihoods(self._model, texts, batch_size=self._rows, pad_id=self._pad_id, between=self._between)
        return [(each.nats, each.is_greedy) for each in found]

    def _generated(self, asked: Sequence[tuple[str, list[str], int]]) -> list[str]:
        """The contexts of one batch continued, as long as the longest wish; each is then cut to its own."""
        room = self._model.facts.context
        most = max(1, min(max(wish for _, _, wish in asked), room - 1))
        prompts = [(self._encode(context) or [self._begin_id])[-(room - most) :] for context, _, _ in asked]
        written = self._model.generate_greedy(
            prompts, max_new_tokens=most, stop_ids=self._stop_ids, pad_id=self._pad_id, between=self._between
        )
        return [self._cut(ids, until, wish) for ids, (_, until, wish) in zip(written, asked, strict=True)]

    def _cut(self, ids: list[int], until: list[str], most: int) -> str:
        text = self._decode([token for token in ids[:most] if token not in self._stop_ids])
        places = [place for stop in until if stop and (place := text.find(stop)) >= 0]
        return text[: min(places)] if places else text


def behind_interface(package: ModuleType, model: HarnessModel) -> object:
    """`model` as what the harness takes: an instance of a class below its own."""
    base: type = package.api.model.LM
    calls = {name: _handed_on(method) for name, method in model.calls.items()}
    return type("HarnessLM", (base,), calls)()


def _handed_on(method: Call) -> Callable[[object, Sequence[Request]], object]:
    def call(_: object, requests: Sequence[Request], **settings: object) -> object:
        # `settings` are about progress bars.
        return method(requests)

    return call


def check_tasks(tasks: Sequence[str]) -> None:
    """ResourceError(MISSING_EXTRA) without the package; RecipeError(NOT_REGISTERED) with the nearest unknown task."""
    known = set(_manager(_package()).all_tasks)
    for task in tasks:
        if task not in known:
            near = nearest(task, known)
            raise RecipeError(
                ErrorCode.NOT_REGISTERED,
                f"evaluate.tuned.harness: lm-evaluation-harness has no task {task!r}"
                + (f"; did you mean {near!r}?" if near else ""),
                "write a task that it lists: lm-eval ls tasks",
                details={"task": task},
            )


def run_task(model: HarnessModel, side: Side, task: Task, *, rows: int | None, seed: int) -> list[HarnessScore]:
    """All numbers of one task; at most `rows` of its documents.

    DataError(EVALUATION_FAILED) when the harness cannot run it (a data set that cannot be loaded, …).
    """
    package = _package()
    name = task if isinstance(task, str) else str(task.get("task"))
    try:
        found: Mapping[str, Mapping[str, Mapping[str, object]]] | None = package.simple_evaluate(
            model=behind_interface(package, model),
            tasks=[task],
            task_manager=_manager(package),
            limit=rows,
            random_seed=seed,
            numpy_random_seed=seed,
            torch_random_seed=seed,
            fewshot_random_seed=seed,
            log_samples=False,
            bootstrap_iters=1000,
        )
    except LoquelaError:
        raise
    except Exception as error:
        # Whatever a task does wrong: it is the task that failed.
        raise DataError(
            ErrorCode.EVALUATION_FAILED,
            f"lm-evaluation-harness cannot run the task {name}: {type(error).__name__}: {error}",
            f"run it once with lm-eval itself, so that its data are there, or leave {name} out",
            details={"task": name},
        ) from error
    results = {} if found is None else found["results"]
    return [score for part, numbers in results.items() for score in _scores(side, part, numbers)]


def harness_reports(scores: Sequence[HarnessScore]) -> list[HarnessReport]:
    """Both sides beside each other."""
    adapter = {(score.task, score.metric): score for score in scores if score.side == "adapter"}
    return [
        HarnessReport(
            task=score.task,
            metric=score.metric,
            base=score.value,
            adapter=other.value,
            base_error=score.error,
            adapter_error=other.error,
        )
        for score in scores
        if score.side == "base" and (other := adapter.get((score.task, score.metric))) is not None
    ]


def _scores(side: Side, task: str, numbers: Mapping[str, object]) -> Iterator[HarnessScore]:
    for name, value in numbers.items():
        metric, _, filtered = name.partition(",")
        if metric.endswith("_stderr") or isinstance(value, bool) or not isinstance(value, int | float) or not filtered:
            continue
        error = numbers.get(f"{metric}_stderr,{filtered}")
        shown = metric if filtered == "none" else f"{metric} ({filtered})"
        yield HarnessScore(
            side=side,
            task=task,
            metric=shown,
            value=float(value),
            error=float(error) if isinstance(error, int | float) else None,
        )


def _package() -> ModuleType:
    try:
        package = importlib.import_module(PACKAGE)
        importlib.import_module(f"{PACKAGE}.api.model")
        importlib.import_module(f"{PACKAGE}.tasks")
    except ModuleNotFoundError as error:
        raise ResourceError(
            ErrorCode.MISSING_EXTRA,
            f"evaluate.tuned.harness needs lm-evaluation-harness, which is not whole here: no module {error.name}",
            "pip install lm_eval, or remove evaluate.tuned.harness",
            details={"package": PACKAGE},
        ) from error
    return package


@cache
def _manager(package: ModuleType) -> TaskManager:
    """Reads thousands of files, so once."""
    manager: TaskManager = package.tasks.TaskManager()
    return manager


def _texts(request: Request) -> tuple[str, str]:
    return str(request.args[0]), str(request.args[1])


def _text(request: Request) -> str:
    return str(request.args[0])


def _generation(request: Request) -> tuple[str, list[str], int]:
    settings = request.args[1]
    options = settings if isinstance(settings, dict) else {}
    if options.get("do_sample"):
        raise RecipeError(
            ErrorCode.CONFIG_INVALID,
            "a task of evaluate.tuned.harness samples its answers; here all answers are greedy, so that they compare",
            "leave that task out",
        )
    until = options.get("until", [])
    stops = [until] if isinstance(until, str) else [str(stop) for stop in until]
    most = options.get("max_gen_toks", DEFAULT_NEW_TOKENS)
    return str(request.args[0]), stops, int(most)
