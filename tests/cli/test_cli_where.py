"""Every command either goes to the service that --server names, or says that it does not: none works here silently."""

from __future__ import annotations

import importlib

import click
import pytest
import yaml
from cli_harness import Loquela

from loquela.cli.main import COMMANDS
from loquela.cli.where import AT_A_SERVICE, HERE_ONLY, SERVICE_ONLY, served_commands
from loquela.client import connection as connecting
from worker_runs import recipe

# Nobody listens there.
NOWHERE = ("--server", "http://127.0.0.1:9")
ARGUMENTS = {
    "validate": ["{recipe}"],
    "plan": ["{recipe}"],
    "run": ["{recipe}"],
    "train": ["{recipe}"],
    "prepare-data": ["{recipe}"],
    "prepare-examples": ["{recipe}", "--set", "examples.sources={text}"],
    "generate-qa": ["{recipe}", "--set", "qa.provider=offline", "--yes"],
    "resume": ["latest"],
    "evaluate": ["latest"],
    "generate": ["latest"],
    "chat": ["latest"],
    "score": ["latest", "--text", "x"],
    "export": ["latest"],
    "deploy-check": ["latest/onnx"],
    "promote": ["latest/onnx"],
    "merge-adapter": ["latest"],
    "verify": ["latest"],
    "artifacts list": [],
    "artifacts download": ["latest"],
    "alerts list": [],
    "alerts firing": [],
    "alerts test": [],
    "audit list": [],
    "runs list": [],
    "runs diff": ["latest", "latest"],
    "jobs list": [],
}


def leaves() -> list[str]:
    found = []
    for name, (module, _) in COMMANDS.items():
        command = importlib.import_module(module).command
        split = isinstance(command, click.Group) and name not in HERE_ONLY
        found += [f"{name} {below}" for below in command.commands] if split else [name]
    return found


def test_the_table_has_every_command_once() -> None:
    assert sorted([*AT_A_SERVICE, *HERE_ONLY]) == sorted(leaves())
    assert {name.partition(" ")[0] for name in SERVICE_ONLY} <= {name.partition(" ")[0] for name in AT_A_SERVICE}


@pytest.mark.parametrize("name", HERE_ONLY)
def test_what_works_here_only_says_so(loquela: Loquela, name: str) -> None:
    done = loquela(*NOWHERE, *name.split())
    assert (done.code, done.out) == (2, "")
    assert f"{name} works on this machine only ({HERE_ONLY[name]}): leave --server out" in done.err
    assert loquela(*NOWHERE, *name.split(), "--json").error["code"] == "CONFIG_INVALID"


@pytest.mark.parametrize("name", AT_A_SERVICE)
def test_the_others_go_to_the_service(loquela: Loquela, name: str, tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connecting, "FIRST_PAUSE_SECONDS", 0.0)
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(recipe(tmp_path)))
    places = {"recipe": tmp_path / "recipe.yaml", "text": tmp_path / "story.txt"}
    given = [argument.format(**places) for argument in ARGUMENTS.get(name, ["latest"])]
    done = loquela(*NOWHERE, *name.split(), *given)
    assert done.code == 4, done.err
    assert "the service at http://127.0.0.1:9 cannot be reached" in done.err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["recipe.yaml", "story.txt"]


@pytest.mark.parametrize("name", SERVICE_ONLY)
def test_what_only_a_service_can_do_says_so(loquela: Loquela, name: str) -> None:
    words = [*name.split(), "list"] if name == "jobs" else name.split()
    done = loquela(*words, *([] if words[-1] in ("list", "firing") else ["latest"]))
    assert done.code == 2
    assert "for a service: name it with --server; " in done.err


def test_the_help_is_made_from_the_table(loquela: Loquela) -> None:
    said = " ".join(loquela("--help").out.split())
    assert f"With --server, these are carried out by a service: {served_commands()}." in said
    assert "runs (list, show, diff, logs, watch, cancel, pause)" in said
