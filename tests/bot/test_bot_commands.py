"""Commands, from Discord through the bot to the service's real API and back."""

from __future__ import annotations

import re

import pytest

from discord_server import AUTOCOMPLETE, EPHEMERAL, OWNER, STRANGER
from loquela.bot.recipes import FOLDER
from loquela.jobs.states import JobState, Reason

YAML = b"name: from-a-phone\ndata:\n  sources: ['builtin:stories']\n"


def test_all_commands_are_known_to_discord_under_both_names_and_only_in_direct_messages(bot, fake):
    named = {one["name"]: one for one in fake.commands}
    six = {"train", "status", "cancel", "runs", "watch", "unwatch"}
    assert set(named) == six | {"trainer"}
    assert {one["name"] for one in named["trainer"]["options"]} == six
    assert all(one["contexts"] == [1] for one in fake.commands)
    assert fake.gateway.sessions[0].intents == 0


def test_an_attached_recipe_becomes_one_run_that_is_watched(bot, fake, service):
    shown = fake.ask("train", recipe=("recipe.yaml", YAML)).answer()
    (run,) = service.http.get("/runs").json()["runs"]
    assert run["run_id"].startswith("from-a-phone-")
    assert run["run_id"] in shown["embeds"][0]["title"].replace("\\", "")
    assert run["labels"] == {"from": "discord"}
    card = fake.until(lambda: fake.to(OWNER))[0]
    assert run["run_id"] in card.embed["title"].replace("\\", "")


def test_a_command_that_is_delivered_twice_is_one_run(bot, fake, service):
    first = fake.ask("train", recipe=("recipe.yaml", YAML))
    first.answer()
    again = next(one for one in fake.gateway.current.sent if one["t"] == "INTERACTION_CREATE")
    first.kind = None
    first.done.clear()
    fake.do(fake.gateway.dispatch("INTERACTION_CREATE", again["d"]))
    first.answer()
    assert len(service.http.get("/runs").json()["runs"]) == 1


def test_a_recipe_in_toml_a_named_one_and_a_corpus_with_choices(bot, fake, service, settings):
    fake.ask("train", recipe=("r.toml", b'name = "toml"\n[data]\nsources = ["builtin:stories"]\n')).answer()
    (settings.data / FOLDER).mkdir()
    (settings.data / FOLDER / "nightly.yaml").write_bytes(YAML.replace(b"from-a-phone", b"nightly"))
    offered = fake.ask("train", kind=AUTOCOMPLETE, named="nig").answer()
    assert [one["value"] for one in offered["choices"]] == ["nightly"]
    fake.ask("train", named="nightly").answer()
    fake.ask("trainer train", corpus="builtin:stories", model="lstm", tokenizer="char", epochs=2).answer()
    runs = service.http.get("/runs").json()["runs"]
    assert [run["run_id"].split("-")[0] for run in runs] == ["run", "nightly", "toml"]
    made = service.parts.listing.get(runs[0]["run_id"]).spec["recipe"]
    assert made["model"]["family"] == "lstm"
    assert made["tokenizer"]["method"] == "char"
    assert made["train"]["epochs"] == 2


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"recipe": ("r.yaml", b"data: {sources: [/etc/passwd]}\n")}, r"no name of a file below"),
        ({"recipe": ("r.yaml", b"nonsense: true\n")}, r"nonsense"),
        ({"recipe": ("r.yaml", b"\xff\xfe")}, r"no UTF\\-8 text"),
        ({"recipe": ("r.exe", YAML)}, r"a YAML or TOML file"),
        ({"recipe": ("r.toml", b"a = 2020-01-01\n")}, r"holds a date"),
        ({"recipe": ("r.toml", b"a = \n")}, r"TOML"),
        ({"recipe": ("r.yaml", b"#" * 3000)}, r"3,000 bytes; 2,000 is the most"),
        ({"named": "nobody"}, r"no recipe has a name here"),
        ({}, r"a run is made from one thing"),
        ({"corpus": "builtin:stories", "recipe": ("r.yaml", YAML)}, r"a run is made from one thing"),
        ({"epochs": 3, "recipe": ("r.yaml", YAML)}, r"a run is made from one thing"),
    ],
)
def test_what_cannot_be_a_run_is_said_with_its_remedy(start_bot, fake, service, options, said):
    start_bot(most_recipe_bytes=2000)
    (embed,) = fake.ask("train", **options).answer()["embeds"]
    assert embed["title"] == "That did not work"
    assert re.search(said, embed["description"]), embed["description"]
    assert embed["fields"][0]["name"] == "To mend it"
    assert "etc" not in embed["description"]
    assert service.http.get("/runs").json()["runs"] == []


def test_an_attachment_that_discord_does_not_hand_over(bot, fake):
    asked = fake.ask
    fake.attachments = type("Forgetful", (dict,), {"get": lambda self, key: None})()
    (embed,) = asked("train", recipe=("recipe.yaml", YAML)).answer()["embeds"]
    assert "did not hand the attached recipe over" in embed["description"]


def test_status_shows_losses_progress_checkpoint_and_a_picture(bot, fake, service, tmp_path):
    run = service.queue(labels={"note": "see /root/private/plan.txt @everyone"})
    service.begin(run)
    service.losses(run, tmp_path / "files", [5.0, 4.0, 3.0])
    service.progress(
        run, step=300, steps_total=1700, epoch=2, epochs=5, loss=2.0, validation_loss="NaN", tokens_per_second=8000.0,
        eta_seconds=4000.0, phase="model_training",
    )  # fmt: skip
    service.say(run, "training_orchestrator.checkpoint_saved.v1", step=250)
    asked = fake.ask("status", run=run)
    (embed,) = asked.answer()["embeds"]
    fields = {one["name"]: one["value"] for one in embed["fields"]}
    assert fields["Loss"] == "2.0000"
    assert fields["Perplexity"] == "7.4"
    assert fields["Held out"] == "not a number (perplexity not a number)"
    assert fields["Step"] == "300 of 1,700"
    assert fields["Epoch"] == "2 of 5"
    assert fields["Speed"] == "8,000 tokens/s"
    assert fields["Time left"] == "about 1 h 06 min"
    assert fields["Last checkpoint"] == "step 250"
    assert "▰▰▰▱" in embed["description"]
    assert "17 %" in embed["description"]
    assert "model training" in embed["footer"]["text"]
    assert embed["image"]["url"] == "attachment://loss.png"
    assert asked.files["loss.png"].startswith(b"\x89PNG")
    assert "private" not in asked.text
    assert "@everyone" not in asked.text


def test_what_stopped_a_run_is_said_without_paths_and_text(bot, fake, service):
    run = service.queue()
    service.begin(run)
    error = {
        "code": "CORRUPT_DATA",
        "message": "row 3 of /root/my data/letters.jsonl: 'Dear Ann, I shall come on Sunday and bring the letters.'",
        "remedy": "mend /root/my data/letters.jsonl",
    }
    service.end(run, JobState.FAILED, Reason.DATA_ERROR, error)
    asked = fake.ask("trainer status", run=run)
    description = asked.answer()["embeds"][0]["description"]
    assert description.startswith("Failed.")
    assert "`CORRUPT_DATA`" in description
    assert "To mend it" in description
    for hidden in ("root", "letters", "Ann", "Sunday"):
        assert hidden not in asked.text


def test_cancel_and_runs(bot, fake, service):
    first, second = service.queue(), service.queue()
    assert "Cancelled" in fake.ask("cancel", run=first).answer()["embeds"][0]["description"]
    assert service.run(first)["state"] == "cancelled"
    fake.ask("watch", run=second).answer()
    listed = fake.ask("runs").answer()["embeds"][0]["description"].splitlines()
    assert [line.split("`")[1] for line in listed] == [second, first]
    assert listed[0].endswith("👁")
    assert "cancelled" in listed[1]
    only = fake.ask("trainer runs", state="cancelled").answer()["embeds"][0]["description"]
    assert first in only
    assert second not in only


def test_watching_and_no_longer(start_bot, fake, service):
    start_bot(most_watched=1)
    run, other = service.queue(), service.queue()
    assert "watched from now on" in fake.ask("watch", run=run).text or fake.ask("watch", run=run).answer()
    assert "is already watched" in fake.ask("watch", run=run).answer()["embeds"][0]["title"]
    assert "1 runs are watched" in fake.ask("watch", run=other).answer()["embeds"][0]["description"]
    offered = fake.ask("unwatch", kind=AUTOCOMPLETE, run="").answer()
    assert [one["value"] for one in offered["choices"]] == [run]
    assert "no longer watched" in fake.ask("unwatch", run=run).answer()["embeds"][0]["title"]
    assert "was not watched" in fake.ask("unwatch", run=run).answer()["embeds"][0]["title"]


def test_ids_are_offered_and_wrong_ones_are_refused(bot, fake, service):
    run = service.queue()
    assert [one["value"] for one in fake.ask("status", kind=AUTOCOMPLETE, run="TINY").answer()["choices"]] == [run]
    assert fake.ask("status", kind=AUTOCOMPLETE, run="zzz").answer()["choices"] == []
    for wrong in ("../../etc", "nothing-of-this-name", "a b"):
        (embed,) = fake.ask("status", run=wrong).answer()["embeds"]
        assert embed["footer"]["text"] == "RUN_NOT_FOUND"


def test_strangers_learn_nothing_and_servers_are_no_place(bot, fake, service):
    run = service.queue()
    for asked in (
        fake.ask("runs", user=STRANGER),
        fake.ask("status", user=STRANGER, run=run),
        fake.ask("cancel", user=STRANGER, run=run),
        fake.ask("trainer train", user=STRANGER, recipe=("recipe.yaml", YAML)),
    ):
        assert asked.answer()["content"] == "I work for somebody else. Sorry."
        assert asked.body["flags"] & EPHEMERAL
        assert run not in asked.text
    assert fake.ask("status", user=STRANGER, kind=AUTOCOMPLETE, run="").answer()["choices"] == []
    here = fake.ask("runs", guild=42)
    assert here.answer()["content"] == "I answer in direct messages only."
    assert here.body["flags"] & EPHEMERAL
    assert fake.ask("runs", user=STRANGER, guild=42).answer()["content"] == "I work for somebody else. Sorry."
    assert service.run(run)["state"] == "queued"
    assert len(service.http.get("/runs").json()["runs"]) == 1
    assert fake.to(STRANGER) == []


def test_a_command_that_is_no_longer_known_is_answered(bot, fake):
    assert "do not know that command" in fake.ask("dance").answer()["content"]


def test_a_command_that_discord_no_longer_waits_for_does_no_harm(bot, fake, service, caplog):
    gone = {"code": 10062, "message": "Unknown interaction"}
    fake.fail("POST", r"/interactions/\d+/[\w-]+/callback", 404, gone, times=2)
    fake.ask("runs")
    fake.until(lambda: "nor could that be said" in caplog.text)
    assert fake.ask("runs").answer()["embeds"]
