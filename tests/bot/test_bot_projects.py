"""A bot whose key is bound to a project works, and shows what is of that project."""

from __future__ import annotations

from discord_server import OWNER
from loquela.service.keys import Scope

YAML = b"name: from-a-phone\ndata:\n  sources: ['builtin:stories']\n"


def test_a_bot_of_a_project_sees_and_makes_only_what_is_of_it(fake, service, start_bot):
    key, _ = service.parts.keys.create("bot", [Scope.READ, Scope.RUN], project="phones")
    start_bot(key=key.text)
    foreign = service.queue()
    answered = fake.ask("status", run=foreign).answer()
    assert answered["embeds"][0]["footer"]["text"] == "RUN_NOT_FOUND"
    assert foreign not in str(fake.ask("runs").answer())
    fake.ask("train", recipe=("recipe.yaml", YAML)).answer()
    (run, other) = service.http.get("/runs").json()["runs"]
    assert (run["project"], other["project"], other["run_id"]) == ("phones", None, foreign)
    card = fake.until(lambda: fake.to(OWNER))[0]
    assert run["run_id"] in card.embed["title"].replace("\\", "")
    assert "cancelled" in str(fake.ask("cancel", run=run["run_id"]).answer()).lower()
    assert service.run(run["run_id"])["state"] == "cancelled"
    assert service.run(foreign)["state"] == "queued"
