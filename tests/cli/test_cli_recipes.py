"""init, validate, config, schema: what needs no run."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from cli_harness import Loquela

from loquela.cli.init import propose_vocabulary
from loquela.cli.naming import run_name
from loquela.cli.schema import SCHEMAS, known_models
from loquela.recipe.loading import load_recipe
from loquela.recipe.schema import Recipe

RECIPES = sorted((Path(__file__).parents[2] / "recipes").glob("*.yaml"))


def test_init_writes_a_recipe_that_holds(loquela: Loquela, tmp_path: Path) -> None:
    done = loquela("init")
    assert done.code == 0
    assert "loquela run recipe.yaml" in done.out
    text = (tmp_path / "recipe.yaml").read_text()
    assert 25 <= text.count("\n") <= 40
    recipe = load_recipe(tmp_path / "recipe.yaml").recipe
    assert (recipe.data.sources, recipe.name) == (["builtin:stories"], "recipe")


def test_init_for_a_file_and_a_folder(loquela: Loquela, tmp_path: Path) -> None:
    texts = tmp_path / 'my "texts"'
    texts.mkdir()
    (texts / "a.txt").write_text("word " * 100_000)
    (texts / "b.txt").write_text("word " * 100_000)
    done = loquela("init", "my folder.yml", "--source", str(texts), "--json")
    assert done.json == {"recipe": "my folder.yml", "source": str(texts), "source_bytes": 1_000_000}
    recipe = load_recipe(tmp_path / "my folder.yml").recipe
    assert recipe.data.sources == [str(texts)]
    assert (recipe.name, recipe.tokenizer.vocab_size, recipe.data.corpus_size_mb) == ("my-folder", 2500, 1)
    assert "'my folder.yml'" in (tmp_path / "my folder.yml").read_text()
    loquela("init", "one.yaml", "--source", str(texts / "a.txt"))
    assert load_recipe(tmp_path / "one.yaml").recipe.data.sources == [str(texts / "a.txt")]


def test_init_refuses(loquela: Loquela, tmp_path: Path) -> None:
    loquela("init")
    before = (tmp_path / "recipe.yaml").read_bytes()
    again = loquela("init")
    assert again.code == 2
    assert "recipe.yaml exists already and is kept" in again.err
    assert (tmp_path / "recipe.yaml").read_bytes() == before
    assert "there is no file or folder nowhere.txt" in loquela("init", "x.yaml", "--source", "nowhere.txt").err
    assert "x.txt is no name for a recipe in YAML" in loquela("init", "x.txt").err
    assert not (tmp_path / "x.yaml").exists()


@pytest.mark.parametrize(
    ("size", "vocabulary"),
    [(None, 4000), (1, 500), (150_000, 500), (1_000_000, 2500), (3_200_000, 8000), (10**9, 8000)],
)
def test_proposed_vocabulary(size: int | None, vocabulary: int) -> None:
    assert propose_vocabulary(size)[0] == vocabulary


@pytest.mark.parametrize(("path", "name"), [("a b.yaml", "a-b"), ("ñandú.yaml", "and"), ("日本.yaml", "run")])
def test_run_names_are_allowed_ones(path: str, name: str) -> None:
    assert run_name(Path(path)) == name
    assert load_recipe(None, {"name": name}).recipe.name == name


def test_validate_tells_what_is_derived(loquela: Loquela) -> None:
    loquela("init")
    done = loquela("validate", "recipe.yaml", "--set", "model.size=small")
    assert done.code == 0
    assert "recipe.yaml is valid." in done.out
    assert "model.num_layers = 6  (model.size small: about 11 M parameters and embeddings)" in done.out
    assert "  tokenizer.vocab_size = " not in done.out


def test_validate_gives_the_recommendations_of_the_flat_form(loquela: Loquela) -> None:
    loquela("init")
    advice = "tokenizer_vocab_size 4000 is not a power of two; 4096 is the nearest"
    assert f"note: {advice}" in loquela("validate", "recipe.yaml").err
    assert loquela("validate", "recipe.yaml", "--json").json["recommendations"] == [advice]
    assert loquela("validate", "recipe.yaml", "--set", "tokenizer.vocab_size=4096").err == ""


def test_validate_reports_every_problem(loquela: Loquela, tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text("seed: x\ntrian: 1\n")
    done = loquela("validate", "bad.yaml", "--json")
    assert done.code == 2
    assert [problem["key"] for problem in done.error["details"]["problems"]] == ["trian", "seed"]
    assert "the recipe has 2 problems" in loquela("validate", "bad.yaml").err


def test_config_show_is_a_recipe_again(loquela: Loquela, tmp_path: Path) -> None:
    shown = loquela("config", "show", "--set", "train.epochs=3")
    (tmp_path / "shown.yaml").write_text(shown.out)
    assert "epochs: 3  # set: --set train.epochs=3" in shown.out
    again = loquela("config", "show", "shown.yaml", "--json").json
    assert Recipe.model_validate(again["recipe"]) == load_recipe(None, ["train.epochs=3"]).recipe


def test_config_explain(loquela: Loquela) -> None:
    one = loquela("config", "explain", "train.epochs", "--set", "train.epochs=3").out
    assert one.startswith("train.epochs = 3  (set: --set train.epochs=3)\n")
    for part in ("complete passes", "allowed:    a whole number ≥ 1", "default:    20", "influences: time"):
        assert part in one
    assert "train.schedule.warmup_fraction" in loquela("config", "explain", "train.schedule").out
    assert len(loquela("config", "explain", "--json").json["keys"]) > 80
    unknown = loquela("config", "explain", "train.epoch")
    assert unknown.code == 2
    assert "no such key; did you mean 'train.epochs'?" in unknown.err


def test_config_explain_of_a_recipe(loquela: Loquela, tmp_path: Path) -> None:
    (tmp_path / "r.yaml").write_text("seed: 4\n")
    assert "seed = 4  (file: r.yaml:1)" in loquela("config", "explain", "seed", "--recipe", "r.yaml").out


def test_config_migrate(loquela: Loquela, tmp_path: Path) -> None:
    old = "corpus_source: a.txt\ntokenizer_vocab_size: 4000\n"
    (tmp_path / "old.yaml").write_text(old)
    refused = loquela("validate", "old.yaml")
    assert refused.code == 2
    assert "has schema version 0; this Loquela reads version 1" in refused.err
    assert "to mend it: loquela config migrate old.yaml" in refused.err
    done = loquela("config", "migrate", "old.yaml")
    assert "tokenizer_vocab_size → tokenizer.vocab_size" in done.out
    assert (tmp_path / "old.yaml.v0").read_text() == old
    assert loquela("validate", "old.yaml").code == 0
    assert loquela("config", "migrate", "old.yaml", "--json").json["changes"] == []
    assert "already current" in loquela("config", "migrate", "old.yaml").out


def test_config_migrate_overwrites_nothing(loquela: Loquela, tmp_path: Path) -> None:
    (tmp_path / "old.yaml").write_text("corpus_source: a.txt\n")
    (tmp_path / "old.yaml.v0").write_text("mine")
    done = loquela("config", "migrate", "old.yaml")
    assert done.code == 2
    assert "old.yaml.v0, where the old text would be kept, exists already" in done.err
    assert (tmp_path / "old.yaml.v0").read_text() == "mine"
    assert (tmp_path / "old.yaml").read_text() == "corpus_source: a.txt\n"


@pytest.mark.parametrize("name", [name for name in SCHEMAS if name != "plan"])
def test_schemas(name: str, loquela: Loquela) -> None:
    schema = loquela("schema", name).json
    assert schema["$schema"].startswith("https://json-schema.org/")
    assert schema["additionalProperties"] is False


def test_the_schema_of_a_recipe_refuses_what_we_refuse(loquela: Loquela) -> None:
    schema = loquela("schema", "recipe").json
    assert set(schema["properties"]) >= {"data", "tokenizer", "model", "train", "evaluate", "compute", "seed"}
    assert schema["$defs"]["TrainSection"]["properties"]["epochs"]["maximum"] == 10000


def test_every_known_model_has_a_schema(loquela: Loquela) -> None:
    listed = loquela("schema").out.split()
    assert listed == sorted(known_models()) == loquela("schema", "--json").json["names"]
    assert {"generate-request", "score-result", "pipeline-status", "error"} <= set(listed)
    for name in listed:
        assert loquela("schema", name).code == 0, name


def test_an_unknown_schema_names_the_nearest(loquela: Loquela) -> None:
    done = loquela("schema", "recipes")
    assert done.code == 2
    assert "no such schema 'recipes'; did you mean 'recipe'?" in done.err


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_the_recipes_we_ship_hold(path: Path, loquela: Loquela) -> None:
    done = loquela("validate", str(path), "--json")
    assert done.code == 0, done.out
    assert json.loads(done.out)["recipe"]["name"] == path.stem
    assert re.match(r"# \S", path.read_text(encoding="utf-8")), "says in its first line what it is"


def test_the_bilingual_recipe_is_the_reference_run() -> None:
    recipe = load_recipe(next(path for path in RECIPES if path.stem == "bilingual")).recipe
    assert recipe.model == Recipe().model
    assert recipe.tokenizer == Recipe().tokenizer
    assert recipe.train == Recipe().train
