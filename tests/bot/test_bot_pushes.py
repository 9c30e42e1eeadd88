"""What watched runs make the bot write: one card that changes, messages for what rings, nothing twice, nothing lost."""

from __future__ import annotations

import pytest

from discord_server import OWNER, SECOND_OWNER, SILENT
from loquela.bot import delivery
from loquela.jobs.states import JobState, Reason

SAVED = "training_orchestrator.checkpoint_saved.v1"
VALIDATED = "training_orchestrator.validated.v1"


def _titles(fake, owner=OWNER):
    return [one.embed["title"].replace("\\", "") for one in fake.to(owner)]


def _watched(fake, service, owner=OWNER):
    run = service.queue()
    fake.ask("watch", user=owner, run=run).answer()
    return run, fake.until(lambda: [one for one in fake.to(owner) if run in one.text.replace("\\\\", "")])[0]


def _told(card, text):
    return lambda: text in card.text


def test_a_run_from_queue_to_end(bot, fake, service, tmp_path):
    run, card = _watched(fake, service)
    assert "Waiting for a worker." in card.embed["description"]
    service.begin(run)
    fake.until(lambda: f"▶️ {run}: started" in _titles(fake))
    service.say(run, "trainer.job.started.v1", steps_total=100, parameters=384000)
    service.losses(run, tmp_path / "files", [5.0, 4.0, 3.0])
    service.progress(run, step=50, steps_total=100, loss=3.0, phase="model_training")
    service.say(run, SAVED, step=50)
    service.say(run, VALIDATED, step=50, validation_loss=2.5)
    fake.until(_told(card, "held\\\\-out loss 2.5000"))
    assert "checkpoint saved at step 50" in card.text
    assert "50 %" in card.embed["description"]
    assert card.files["loss.png"].startswith(b"\x89PNG")
    service.end(run)
    fake.until(lambda: f"✅ {run}: finished" in _titles(fake))
    fake.until(_told(card, "Finished."))
    assert _titles(fake) == [f"✅ {run}", f"▶️ {run}: started", f"✅ {run}: finished"]
    offered = fake.until(lambda: not fake.ask("unwatch", kind=4, run="").answer()["choices"])
    assert offered, "a finished run is no longer watched"


def test_a_failure_rings_and_says_why(bot, fake, service):
    run, _ = _watched(fake, service)
    service.begin(run)
    fake.until(lambda: f"▶️ {run}: started" in _titles(fake))
    error = {"code": "OOM", "message": "no memory for /root/data/x.bin", "remedy": "train.batch_size: 4"}
    service.end(run, JobState.FAILED, Reason.OUT_OF_MEMORY, error)
    ring = fake.until(lambda: [one for one in fake.to(OWNER) if ": failed" in one.embed["title"]])[0]
    assert "`OOM` no memory for \\[path\\]" in ring.embed["description"]
    assert "train.batch\\_size\\: 4" in ring.embed["description"]


def test_many_events_change_one_message_a_few_times(start_bot, fake, service):
    start_bot(batch_seconds=1.0)
    run, card = _watched(fake, service)
    service.begin(run)
    fake.until(lambda: f"▶️ {run}: started" in _titles(fake))
    for step in range(60):
        service.say(run, SAVED, step=step)
    fake.until(_told(card, "step 59"))
    assert len(fake.to(OWNER)) == 2
    assert len(card.edits) <= 6


def test_runs_that_nobody_watches_are_not_told(bot, fake, service):
    run, other = service.queue(), service.queue()
    fake.ask("watch", run=other).answer()
    service.begin(run)
    service.end(run)
    service.begin(other)
    fake.until(lambda: f"▶️ {other}: started" in _titles(fake))
    assert run not in str(_titles(fake))


def test_a_generation_with_a_watched_run_is_not_told(bot, fake, service):
    run, card = _watched(fake, service)
    service.begin(run)
    fake.until(lambda: f"▶️ {run}: started" in _titles(fake))
    for name in ("job.queued.v1", "job.succeeded.v1"):
        service.parts.events.append(name, job_id="generate-1", run_id=run, data={"kind": "generate"})
    service.say(run, SAVED, step=5)
    fake.until(_told(card, "checkpoint saved at step 5"))
    assert _titles(fake) == [f"▶️ {run}", f"▶️ {run}: started"]
    assert "finished" not in card.text


def test_short_news_of_several_runs_come_in_one_message(start_bot, fake, service, monkeypatch):
    monkeypatch.setattr(delivery, "GATHER_SECONDS", 1.0)
    start_bot()
    first, _ = _watched(fake, service)
    second, _ = _watched(fake, service)
    for run in (first, second):
        service.begin(run)
        service.end(run)
    (told,) = fake.until(lambda: [one for one in fake.to(OWNER) if one.embed["title"] == "What happened"])
    lines = told.embed["description"].splitlines()
    assert [line.split("`")[1] for line in lines] == [first, first, second, second]
    assert [line.rsplit(" ", 1)[1] for line in lines] == ["started", "finished"] * 2


def test_a_working_run_is_summed_up_now_and_then(start_bot, fake, service):
    start_bot(summary_minutes=0.05)
    run, card = _watched(fake, service)
    service.begin(run)
    fake.until(_told(card, "started"))
    service.progress(run, step=7, steps_total=70, loss=1.5)
    fake.until(_told(card, "7 of 70"))
    assert len(fake.to(OWNER)) == 2


def test_a_card_that_was_deleted_is_made_again(bot, fake, service):
    run, card = _watched(fake, service)
    card.deleted = True
    service.begin(run)
    again = fake.until(lambda: [one for one in fake.to(OWNER) if one.embed["title"].endswith(run)])[0]
    assert again.id != card.id
    assert again.body["flags"] & SILENT


def test_a_card_too_old_to_be_changed_is_replaced(bot, fake, service):
    run, card = _watched(fake, service)
    fake.fail("PATCH", r"/channels/\d+/messages/\d+", 400, {"code": 30046, "message": "too old"})
    service.begin(run)
    fake.until(lambda: card.deleted)
    cards = [one for one in fake.to(OWNER) if one.embed["title"].replace("\\", "").endswith(run)]
    assert len(cards) == 1


def test_an_old_card_is_replaced_before_discord_minds(start_bot, fake, service, monkeypatch):
    monkeypatch.setattr(delivery, "RENEW_AFTER_SECONDS", 0.0)
    start_bot()
    run, card = _watched(fake, service)
    service.begin(run)
    fake.until(lambda: card.deleted)
    assert len([one for one in fake.to(OWNER) if one.embed["title"].replace("\\", "").endswith(run)]) == 1


def test_two_owners_watch_for_themselves(start_bot, fake, service):
    start_bot(owners=[OWNER, SECOND_OWNER])
    run, _ = _watched(fake, service)
    fake.ask("watch", user=SECOND_OWNER, run=run).answer()
    fake.ask("unwatch", run=run).answer()
    service.begin(run)
    fake.until(lambda: f"▶️ {run}: started" in _titles(fake, SECOND_OWNER))
    assert f"▶️ {run}: started" not in _titles(fake, OWNER)


def test_an_owner_who_takes_no_messages_gets_them_when_they_do(start_bot, fake, service):
    fake.closed_to.add(OWNER)
    start_bot(owners=[OWNER, SECOND_OWNER])
    run = service.queue()
    for owner in (OWNER, SECOND_OWNER):
        fake.ask("watch", user=owner, run=run).answer()
    service.begin(run)
    fake.until(lambda: f"▶️ {run}: started" in _titles(fake, SECOND_OWNER))
    assert fake.to(OWNER) == []
    fake.closed_to.clear()
    fake.until(lambda: f"▶️ {run}: started" in _titles(fake))


@pytest.mark.parametrize("everywhere", [False, True])
def test_too_many_requests_are_waited_for(bot, fake, service, everywhere):
    run, _ = _watched(fake, service)
    fake.too_many("POST", r"/channels/\d+/messages", 0.7, everywhere=everywhere)
    service.begin(run)
    fake.until(lambda: f"▶️ {run}: started" in _titles(fake))
    tries = [at for at, method, path in fake.requests if method == "POST" and path.endswith("/messages")]
    assert len(tries) == 3
    assert tries[2] - tries[1] >= 0.7
    if everywhere:
        between = [path for at, _, path in fake.requests if tries[1] < at < tries[1] + 0.65]
        assert [path for path in between if "/messages" in path] == []


def test_a_message_whose_answer_was_lost_is_there_once(bot, fake, service):
    fake.fail("POST", r"/channels/\d+/messages", 0, after_doing=True, times=2)
    run, card = _watched(fake, service)
    fake.until(lambda: sum(path.endswith("/messages") for _, _, path in fake.requests) >= 3)
    service.begin(run)
    fake.until(lambda: f"▶️ {run}: started" in _titles(fake))
    fake.until(_told(card, "started"))
    assert len(fake.to(OWNER)) == 2


def test_what_discord_refuses_for_good_does_not_stop_the_rest(bot, fake, service, caplog):
    fake.fail("POST", r"/channels/\d+/messages", 400, {"code": 50035, "message": "Invalid Form Body"})
    first = service.queue()
    fake.ask("watch", run=first).answer()
    fake.until(lambda: "for good" in caplog.text)
    second, _ = _watched(fake, service)
    assert second in str(_titles(fake))


def test_a_service_that_is_away_and_comes_back(bot, fake, service):
    run, _ = _watched(fake, service)
    service.begin(run)
    fake.until(lambda: f"▶️ {run}: started" in _titles(fake))
    service.stop()
    (embed,) = fake.ask("status", run=run).answer()["embeds"]
    assert "cannot be reached" in embed["description"]
    assert "127" not in embed["description"]
    service.say(run, SAVED, step=5)
    service.end(run)
    service.start()
    fake.until(lambda: f"✅ {run}: finished" in _titles(fake))
    assert _titles(fake).count(f"✅ {run}: finished") == 1
    assert _titles(fake).count(f"▶️ {run}: started") == 1


def test_what_happens_while_the_bot_is_away_is_told_once(start_bot, fake, service):
    bot = start_bot()
    run, card = _watched(fake, service)
    service.begin(run)
    fake.until(lambda: f"▶️ {run}: started" in _titles(fake))
    fake.until(_told(card, "started"))
    bot.stop()
    service.say(run, SAVED, step=5)
    service.end(run)
    start_bot()
    fake.until(lambda: f"✅ {run}: finished" in _titles(fake))
    fake.until(_told(card, "checkpoint saved at step 5"))
    assert _titles(fake) == [f"✅ {run}", f"▶️ {run}: started", f"✅ {run}: finished"]


def test_a_bot_that_begins_does_not_tell_the_past(start_bot, fake, service):
    run = service.queue()
    service.begin(run)
    for step in range(30):
        service.say(run, SAVED, step=step)
    start_bot()
    fake.ask("watch", run=run).answer()
    card = fake.until(lambda: fake.to(OWNER))[0]
    service.say(run, SAVED, step=99)
    fake.until(_told(card, "step 99"))
    assert "step 29" not in card.text
    assert len(fake.to(OWNER)) == 1


def test_a_run_that_the_service_no_longer_has_is_forgotten(start_bot, fake, service):
    bot = start_bot()
    run, _ = _watched(fake, service)
    bot.stop()
    from sqlalchemy import delete

    from loquela.jobs.tables import jobs

    with service.parts.database.write() as connection:
        connection.execute(delete(jobs).where(jobs.c.id == run))
    service.say(run, "job.succeeded.v1")
    start_bot()
    fake.until(lambda: not fake.ask("unwatch", kind=4, run="").answer()["choices"])
    assert len(fake.to(OWNER)) == 1
