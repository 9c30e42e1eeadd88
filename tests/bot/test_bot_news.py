"""What of the service's events is told: our words and numbers, never text of an event."""

from __future__ import annotations

import pytest

from loquela.bot.news import News, news_of
from loquela.client.answers import Event

PLANTED = "Dear Ann, the secret is under the /root/stone"


def _news(name: str, **data: object) -> News | None:
    return news_of(Event.model_validate({"seq": 1, "id": "e", "at": 0.0, "name": name, "run_id": "r", "data": data}))


@pytest.mark.parametrize(
    ("name", "data", "kind", "text", "rings"),
    [
        ("job.queued.v1", {}, "queued", "queued", False),
        ("job.running.v1", {"attempt": 1}, "started", "started", True),
        ("job.running.v1", {"attempt": 3}, "started", "goes on, attempt 3", False),
        (
            "trainer.job.started.v1",
            {"steps_total": 1700, "parameters": 384000},
            "training",
            "training begins: 1,700 steps, 384,000 parameters",
            False,
        ),
        (
            "training_orchestrator.checkpoint_saved.v1",
            {"step": 1200},
            "checkpoint",
            "checkpoint saved at step 1,200",
            False,
        ),
        (
            "training_orchestrator.validated.v1",
            {"step": 85, "validation_loss": 2.0},
            "evaluation",
            "evaluated at step 85: held-out loss 2.0000, perplexity 7.4",
            False,
        ),
        (
            "training_orchestrator.validated.v1",
            {"step": 85, "validation_loss": "NaN"},
            "evaluation",
            "evaluated at step 85: held-out loss not a number, perplexity not a number",
            False,
        ),
        (
            "validation_runner.validation_complete.v1",
            {"loss": 1.0, "split": PLANTED},
            "evaluation",
            "evaluation done: loss 1.0000, perplexity 2.7",
            False,
        ),
        (
            "training_orchestrator.rolled_back.v1",
            {"step": 4},
            "warning",
            "the loss broke down; rolled back to step 4",
            False,
        ),
        ("job.interrupted.v1", {"reason": "worker_shutdown"}, "interrupted", None, False),
        ("job.interrupted.v1", {"reason": "internal"}, "interrupted", "interrupted; it goes on by itself", True),
        ("job.paused.v1", {}, "paused", "paused", True),
        ("job.cancelled.v1", {}, "cancelled", "cancelled", True),
        ("job.succeeded.v1", {}, "completed", "finished", True),
        ("job.failed.v1", {"message": PLANTED}, "failed", "failed", True),
    ],
)  # fmt: skip
def test_what_is_told(name: str, data: dict[str, object], kind: str, text: str | None, rings: bool) -> None:
    told = _news(name, **data)
    assert told is not None
    assert (told.kind, told.rings) == (kind, rings)
    assert text is None or told.text == text


@pytest.mark.parametrize(
    "name", ["generation.sample.v1", "notice.v1", "trainer.metrics.progress.v1", "pipeline.started.v1", "job.new.v9"]
)
def test_samples_notices_and_what_is_unknown_are_not_told(name: str) -> None:
    assert _news(name, text=PLANTED, message=PLANTED) is None


def test_the_end_of_another_job_on_a_run_is_not_the_end_of_the_run() -> None:
    fields = {"seq": 1, "id": "e", "at": 0.0, "name": "job.succeeded.v1", "run_id": "r"}
    assert news_of(Event.model_validate({**fields, "job_id": "generate-1"})) is None
    assert news_of(Event.model_validate({**fields, "job_id": "r"})) is not None


def test_text_where_numbers_belong_is_not_passed_on() -> None:
    names = [
        "job.running.v1",
        "trainer.job.started.v1",
        "training_orchestrator.checkpoint_saved.v1",
        "training_orchestrator.validated.v1",
        "training_orchestrator.rolled_back.v1",
        "validation_runner.validation_complete.v1",
        "job.interrupted.v1",
    ]
    keys = ("step", "loss", "validation_loss", "steps_total", "parameters", "attempt", "reason", "message")
    for name in names:
        told = _news(name, **dict.fromkeys(keys, PLANTED))
        assert told is not None
        assert "Ann" not in told.text
        assert "root" not in told.text


def test_a_job_on_the_run_is_no_news_of_the_run():
    def told(job_id):
        named = {"seq": 1, "id": "e", "at": 0.0, "name": "job.failed.v1", "run_id": "r", "data": {}}
        return news_of(Event.model_validate({**named, "job_id": job_id}))

    assert told("evaluate-1") is None
    assert told("r").kind == "failed"
    assert _news("job.interrupted.v1", reason="user").text == "stopped on the command line"
