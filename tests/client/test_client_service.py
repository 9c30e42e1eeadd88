"""Both clients and `loquela --server` against the real service: a run from its recipe to a chat."""

import asyncio
import hashlib
import io
import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from loquela import AsyncClient, Client
from loquela.cli.main import answer
from loquela.core.errors import AccessError, RecipeError
from served import Served
from worker_runs import recipe

TALK = {"messages": [{"role": "user", "content": "The"}], "max_new_tokens": 5, "temperature": 0}


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A folder with a recipe beside the text that it names."""
    home = tmp_path_factory.mktemp("my recipes")
    (home / "run.yaml").write_text(yaml.safe_dump(recipe(home, epochs=2)))
    return home


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    made = Served(tmp_path_factory.mktemp("a service"))
    yield made
    assert made.stop() == 0


@pytest.fixture
def at_service(served, capsys):
    """`loquela --server … ARGUMENTS`: exit code, stdout, stderr."""

    def call(*arguments):
        key_file = str(served.data / "keys" / "owner.key")
        code = answer(["--server", served.address, "--key-file", key_file, *arguments])
        told = capsys.readouterr()
        return code, told.out, told.err

    return call


def test_a_run_from_its_recipe_to_a_chat_by_command_line(at_service, home, monkeypatch):
    recipe_file = str(home / "run.yaml")
    code, out, err = at_service("plan", recipe_file)
    assert code == 0 and "train tokens" in out and "uploaded story.txt (" in err
    code, out, err = at_service("run", recipe_file, "--json")
    assert code == 0, err
    run = json.loads(out)
    assert run["state"] == "succeeded" and "queued as" in err
    code, out, _ = at_service("runs", "list")
    assert code == 0 and run["run_id"] in out and "succeeded" in out
    code, out, _ = at_service("runs", "watch", "latest")
    assert code == 0 and f"{run['run_id']}: succeeded" in out
    options = ("--max-new-tokens", "5", "--temperature", "0")
    code, text, _ = at_service("generate", "latest", "--prompt", "The fox", *options)
    assert code == 0 and text.startswith("The fox")
    (home / "prompt.txt").write_text("The fox")
    code, out, _ = at_service(
        "generate", run["run_id"][:-3], "--prompt-file", str(home / "prompt.txt"), *options, "--json"
    )
    assert json.loads(out)["outputs"] == [text.removeprefix("The fox").removesuffix("\n")]
    code, out, _ = at_service("score", "latest", "--text", "The fox walked.", "--tokens")
    assert code == 0 and out.startswith("loss ") and "'.'" in out
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"The\n")))
    code, out, _ = at_service("chat", "latest", *options, "--json")
    assert code == 0 and json.loads(out)["steps"] <= 5
    code, _, err = at_service("runs", "cancel", "latest")
    assert code == 2 and "INVALID_STATE" in err


def test_from_python(served, home):
    asked = recipe(home, epochs=2)
    with Client(served.address, served.key) as client:
        file = client.upload(home / "story.txt")
        asked["data"]["sources"] = [f"upload:{file.id}"]
        run = client.train(asked, labels={"by": "test"}, idempotency_key="one")
        assert client.train(asked, labels={"by": "test"}, idempotency_key="one").run_id == run.run_id
        names = [event.name for event in client.follow(run.run_id)]
        assert names[0] == "job.queued.v1" and "trainer.job.completed.v1" in names
        ended = client.run(run.run_id)
        assert ended.ended and ended.state == "succeeded" and ended.labels == {"by": "test"}, ended
        assert run.run_id in [found.run_id for found in client.runs(states=["succeeded"]).runs]
        assert client.events(run_id=run.run_id, limit=500).last_seq > 3 and client.logs(run.run_id)
        assert "validation_loss" in client.metric_names(run.run_id)
        assert client.metrics(run.run_id, ["validation_loss"])[0].points_total == 2
        assert client.validate(asked).valid
        wrong = client.validate({"data": {"sources": ["builtin:stories"]}, "train": {"epochs": 0}})
        assert not wrong.valid and wrong.problems[0].key == "train.epochs"
        assert client.wait(client.verify(run.run_id).job_id).state == "succeeded"
        assert client.wait(client.evaluate(run.run_id, {"split": "train"}).job_id).kind == "evaluate"
        assert client.evaluation(run.run_id).split == "train"
        assert client.exports(run.run_id) == []
        stored = client.artifacts(run.run_id)
        model = next(each for each in stored.artifacts if each.kind == "model")
        client.download(model, home / "model.tar")
        assert hashlib.sha256((home / "model.tar").read_bytes()).hexdigest() == model.file_id
        turns = []
        assert (
            "".join(client.chat_stream(run.run_id, TALK, turns)) == turns[0].text == client.chat(run.run_id, TALK).text
        )
        with pytest.raises(RecipeError, match="INVALID_STATE"):
            client.cancel(run.run_id)
        names_later, said = asyncio.run(awaited(served, run.run_id))
        assert (names_later[: len(names)], said) == (names, turns[0].text)


async def awaited(served, run_id):
    async with AsyncClient(served.address, served.key) as client:
        assert (await client.me()).scopes == ["admin"]
        assert (await client.runs()).runs[0].run_id == run_id
        assert (await client.generate(run_id, {"prompt_text": "The", "max_new_tokens": 2})).outputs
        names = [event.name async for event in client.follow(run_id)]
        turns = []
        said = "".join([piece async for piece in client.chat_stream(run_id, TALK, turns)])
        assert said == turns[0].text
        return names, said


def test_without_a_key(served, capsys, monkeypatch):
    with Client(served.address, "") as client, pytest.raises(AccessError, match="a valid API key is needed"):
        client.runs()
    monkeypatch.delenv("LOQUELA_API_KEY", raising=False)
    assert answer(["--server", served.address, "runs", "list"]) == 4
    assert "a valid API key is needed" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["runs", "show", "nothing-like-it"], "has no run 'nothing-like-it'"),
        (["runs", "diff", "latest", "nothing-like-it"], "has no run 'nothing-like-it'"),
        (["run", "{home}/folder.yaml"], "is a folder of this machine, and the service takes files"),
        (["run", "{home}/run.yaml", "--resume", "auto"], "with --server every run is a new one"),
        (["resume", "latest", "--prove"], "--prove is for this machine"),
        (["plan", "{home}/run.yaml", "--fit", "8GB"], "look at this machine"),
        (["verify", "latest", "--output-directory", "x"], "--output-directory is for this machine"),
        (["export", "latest", "--output", "x"], "--output is for this machine"),
        (["export", "latest", "--set", "export.held_out_tokens=99"], "--set is for this machine"),
        (["promote", "latest"], "name a run and its export"),
        (["merge-adapter", "latest", "--base", "x"], "--base is for this machine"),
        (["evaluate", "latest", "--set", "seed=1"], "--set and --resume are for a RECIPE"),
        (["evaluate", "latest", "--base", "x"], "--base is for this machine"),
        (["prepare-examples", "{home}/run.yaml", "--rows", "2"], "the recipe names no examples"),
        (["generate-qa", "{home}/qa.yaml"], "give --yes, which agrees to qa.max_cost_usd, here $"),
        (["generate-qa", "{home}/qa.yaml", "--dry-run"], "--dry-run is for this machine"),
        (["alerts", "test", "--recipe", "{home}/run.yaml"], "--recipe is for this machine"),
        (["artifacts", "download", "nothing-like-it/onnx"], "has no run 'nothing-like-it'"),
    ],
)
def test_what_a_service_cannot_do_is_said(at_service, home, arguments, says):
    wrong = recipe(home, epochs=2)
    wrong["data"]["sources"] = [str(home)]
    (home / "folder.yaml").write_text(yaml.safe_dump(wrong))
    (home / "qa.yaml").write_text(yaml.safe_dump(recipe(home, qa={"provider": "anthropic"})))
    code, _, err = at_service(*(argument.format(home=home) for argument in arguments))
    assert code == 2 and says in err


def test_cancel_here_says_how_runs_are_stopped_here(capsys):
    assert answer(["runs", "cancel", "latest"]) == 2
    assert "here Ctrl+C stops a run" in capsys.readouterr().err


def test_a_key_file_that_is_none(tmp_path, capsys):
    assert answer(["--server", "http://127.0.0.1:9", "--key-file", str(tmp_path / "none"), "runs", "list"]) == 2
    assert "cannot be read as a key" in capsys.readouterr().err


def test_the_example_of_the_documentation(served, tmp_path):
    text = (Path(__file__).parents[2] / "docs" / "service.md").read_text(encoding="utf-8")
    block = next(part for part in text.split("```python\n") if part.startswith("import loquela")).partition("```")[0]
    asked = recipe(tmp_path, epochs=1)
    (served.data / "corpus" / "story.txt").write_bytes((tmp_path / "story.txt").read_bytes())
    asked["data"]["sources"] = ["story.txt"]
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(asked))
    program = f"key = {served.key!r}\n" + block.replace("http://127.0.0.1:8040", served.address)
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert "trainer.job.completed.v1" in done.stdout
