"""Both clients against the real service: a run from its recipe to a chat."""

import asyncio

import pytest

from loquela import AsyncClient, Client
from loquela.core.errors import AccessError, RecipeError
from served import Served
from worker_runs import recipe


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    home = tmp_path_factory.mktemp("a service")
    made = Served(home)
    yield made
    assert made.stop() == 0


def test_a_run_from_its_recipe_to_a_chat(served, tmp_path):
    asked = recipe(tmp_path, epochs=2)
    with Client(served.address, served.key) as client:
        file = client.upload(tmp_path / "story.txt")
        asked["data"]["sources"] = [f"upload:{file.id}"]
        assert client.plan(asked).recipe["name"] == asked["name"]
        run = client.train(asked, labels={"by": "test"}, idempotency_key="one")
        assert client.train(asked, labels={"by": "test"}, idempotency_key="one").run_id == run.run_id
        names = [event.name for event in client.follow(run.run_id)]
        assert names[0] == "job.queued.v1" and "trainer.job.completed.v1" in names
        ended = client.run(run.run_id)
        assert ended.ended and ended.state == "succeeded", ended
        assert [found.run_id for found in client.runs(states=["succeeded"]).runs] == [run.run_id]
        assert client.events(run_id=run.run_id, limit=500).last_seq > 3 and client.logs(run.run_id)
        assert "validation_loss" in client.metric_names(run.run_id)
        assert client.metrics(run.run_id, ["validation_loss"])[0].points_total == 2
        drawn = client.generate(run.run_id, {"prompt_text": "The fox", "max_new_tokens": 5, "temperature": 0})
        assert drawn.steps and drawn.steps[0] <= 5
        measured = client.score(run.run_id, {"text": "The fox walked."})
        assert measured.loss is not None and measured.loss > 0
        talk = {"messages": [{"role": "user", "content": "The"}], "max_new_tokens": 5, "temperature": 0}
        turns = []
        pieces = list(client.chat_stream(run.run_id, talk, turns))
        assert "".join(pieces) == turns[0].text == client.chat(run.run_id, talk).text
        with pytest.raises(RecipeError, match="INVALID_STATE"):
            client.cancel(run.run_id)
        names_later, said = asyncio.run(awaited(served, run.run_id, talk))
        assert (names_later[: len(names)], said) == (names, turns[0].text)


async def awaited(served, run_id, talk):
    async with AsyncClient(served.address, served.key) as client:
        assert (await client.me()).scopes == ["admin"]
        assert (await client.runs()).runs[0].run_id == run_id
        assert (await client.generate(run_id, {"prompt_text": "The", "max_new_tokens": 2})).outputs
        names = [event.name async for event in client.follow(run_id)]
        turns = []
        said = "".join([piece async for piece in client.chat_stream(run_id, talk, turns)])
        assert said == turns[0].text
        return names, said


def test_without_a_key(served):
    with Client(served.address, "") as client, pytest.raises(AccessError, match="a valid API key is needed"):
        client.runs()
