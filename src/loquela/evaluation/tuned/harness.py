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
from loquela.evaluation.tuned.contracts import HarnessReport, HarnessScore, Side
from loquela.evaluation.tuned.harness_model import Call, HarnessModel, Request

PACKAGE = "lm_eval"

Task = str | dict[str, JsonValue]


class TaskManager(Protocol):
    """What the harness knows of tasks."""

    all_tasks: Sequence[str]


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
