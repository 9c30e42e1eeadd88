"""Files, variables and options become one recipe; whatever is wrong is said once, all of it, with its place."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import JsonValue

from loquela.core.errors import ErrorCode, RecipeError
from loquela.recipe.keys import flatten, nest, optional_sections, recipe_keys, recipe_sections, values_of
from loquela.recipe.layers import LARGEST_FILE_BYTES
from loquela.recipe.loading import complete_recipe, load_recipe
from loquela.recipe.problems import Problem, recipe_error
from loquela.recipe.schema import ModelSection, ModelSize, Recipe, TrainSection

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def writer(text: str, name: str = "recipe.yaml") -> Path:
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return path

    return writer


def problems_of(path: Path | None, overrides: object = (), environment: dict[str, str] | None = None) -> list[dict]:
    with pytest.raises(RecipeError) as caught:
        load_recipe(path, overrides, environment)
    assert caught.value.code is ErrorCode.CONFIG_INVALID
    assert caught.value.exit_code == 2
    return caught.value.details["problems"]


# --- what holds ------------------------------------------------------------------------------------------------


def test_no_file_is_the_reference_recipe() -> None:
    resolved = load_recipe(None)
    assert resolved.recipe == Recipe()
    absent = tuple(f"{name}." for name in optional_sections())
    assert set(resolved.origins) == {key for key in recipe_keys() if not key.startswith(absent)}
    assert resolved.origins["seed"].kind == "default"


def test_later_origins_win_and_are_recorded(write: Write) -> None:
    path = write("seed: 1\ntrain:\n  epochs: 3\n  batch_size: 4\n  max_steps: 9\n")
    resolved = load_recipe(
        path,
        ["train.batch_size=16"],
        {"LOQUELA__TRAIN__EPOCHS": "5", "LOQUELA__TRAIN__BATCH_SIZE": "8", "LOQUELA_HOME": "/x", "PATH": "/bin"},
    )
    train = resolved.recipe.train
    assert (resolved.recipe.seed, train.max_steps, train.epochs, train.batch_size) == (1, 9, 5, 16)
    assert str(resolved.origins["train.max_steps"]) == f"file: {path}:5"
    assert str(resolved.origins["train.epochs"]) == "environment: LOQUELA__TRAIN__EPOCHS"
    assert str(resolved.origins["train.batch_size"]) == "set: --set train.batch_size=16"


def test_the_last_of_two_options_wins() -> None:
    assert load_recipe(None, ["seed=1", "seed=2"]).recipe.seed == 2


def test_a_mapping_overrides_by_dotted_or_nested_keys() -> None:
    recipe = load_recipe(None, {"train.epochs": 2, "model": {"dropout": 0.5}}).recipe
    assert (recipe.train.epochs, recipe.model.dropout) == (2, 0.5)


def test_a_recipe_made_in_python_gets_what_its_size_derives() -> None:
    made = Recipe(model=ModelSection(size=ModelSize.SMALL, num_layers=3), train=TrainSection(epochs=4))
    resolved = complete_recipe(made, {"train.epochs": 5}, {"LOQUELA__SEED": "2"})
    recipe = resolved.recipe
    assert (recipe.model.num_layers, recipe.model.d_model, recipe.tokenizer.vocab_size) == (3, 384, 16000)
    assert (recipe.train.epochs, recipe.seed) == (5, 2)
    assert str(resolved.origins["model.num_layers"]) == "set: Recipe made in Python"
    assert resolved.origins["model.d_model"].kind == "derived"
    assert complete_recipe(recipe).recipe == recipe


@pytest.mark.parametrize(
    ("text", "key", "expected"),
    [
        ("train: {learning_rate: 1e-3}", "train.learning_rate", 0.001),
        ("train: {max_steps: 1e4}", "train.max_steps", 10000),
        ("train: {max_steps: 1_000}", "train.max_steps", 1000),
        ("seed: 0o17", "seed", 15),
        ("seed: 0x1F", "seed", 31),
        ("compute: {compile: on}", "compute.compile", "on"),
        ("compute: {compile: off}", "compute.compile", "off"),
        ("data: {normalization: {lowercase: yes}}", "data.normalization.lowercase", True),
        ("data: {normalization: {lowercase: Off}}", "data.normalization.lowercase", False),
        ("name: no", "name", "no"),
        ("name: 2026-01-01x", "name", "2026-01-01x"),
        ("name: '010'", "name", "010"),
        ("data: {sources: text.txt}", "data.sources", ["text.txt"]),
        ("data: {sources: [2026-01-01, 1:30]}", "data.sources", ["2026-01-01", "1:30"]),
        ("train: {gradient_clip_norm: ~}", "train.gradient_clip_norm", None),
        ("train:\nseed: 3", "seed", 3),
        ("seed: &x 5\ntrain: {max_steps: *x}", "train.max_steps", 5),
        ("# nothing", "seed", 1337),
    ],
)
def test_yaml_reads_as_a_person_does(write: Write, text: str, key: str, expected: object) -> None:
    assert flatten(load_recipe(write(text)).recipe.model_dump(mode="json"))[key] == expected


def test_toml_and_json_with_lines(write: Write) -> None:
    toml = write('seed = 4\n[train]\nepochs = 2\noptimizer.name = "sgd"\ngradient_clip_norm = "null"\n', "r.toml")
    resolved = load_recipe(toml)
    assert resolved.recipe.train.optimizer.name == "sgd"
    assert resolved.recipe.train.gradient_clip_norm is None
    assert resolved.origins["train.epochs"].where == f"{toml}:3"
    assert resolved.origins["train.optimizer.name"].where == f"{toml}:4"
    assert load_recipe(write('{"seed": 9}', "r.json")).recipe.seed == 9


@pytest.mark.parametrize(
    ("option", "key", "expected"),
    [
        ("name=123", "name", "123"),
        ("name='x'", "name", "x"),
        ("data.sources=/a b/c: d.txt", "data.sources", ["/a b/c: d.txt"]),
        ("data.sources=[a, b]", "data.sources", ["a", "b"]),
        ("evaluate.prompts=12", "evaluate.prompts", ["12"]),
        ("tokenizer.model_file=null", "tokenizer.model_file", None),
        ("tokenizer.model_file=/x/{y", "tokenizer.model_file", "/x/{y"),
        ("train.learning_rate=1e-3", "train.learning_rate", 0.001),
        ("train.max_steps=", "train.max_steps", None),
        ("output_directory=out=put", "output_directory", "out=put"),
    ],
)
def test_options_read_text_as_text(option: str, key: str, expected: object) -> None:
    assert flatten(load_recipe(None, [option]).recipe.model_dump(mode="json"))[key] == expected


# --- what does not ---------------------------------------------------------------------------------------------


def test_every_problem_is_reported_at_once(write: Write) -> None:
    path = write(
        "trian:\n  epochs: 3\ntrain:\n  epochs: 0\n  batch_size: '3'\nmodel:\n  d_model: 100\n  num_heads: 7\n"
    )
    with pytest.raises(RecipeError, match="the recipe has 6 problems") as caught:
        load_recipe(path, ["mode.size=2"], {"LOQUELA__TRAIN__EPOCH": "3"})
    assert "mend each of them" in caught.value.remedy
    lines = {(problem["where"], problem["key"]) for problem in caught.value.details["problems"]}
    assert lines == {
        (f"{path}:1", "trian"),
        (f"{path}:4", "train.epochs"),
        (f"{path}:5", "train.batch_size"),
        (f"{path}:7", "model.d_model"),
        ("--set mode.size=2", "mode.size"),
        ("LOQUELA__TRAIN__EPOCH", "train.epoch"),
    }
    assert all(problem["remedy"] for problem in caught.value.details["problems"])


@pytest.mark.parametrize(
    ("text", "line", "message", "remedy"),
    [
        ("\ntrain: {epochs: 0}", 2, "0 is not allowed; allowed: a whole number ≥ 1 and ≤ 10000", "the default is 20"),
        ("seed: true", 1, "true is not allowed; allowed: a whole number", "write seed as a whole number"),
        ("seed: 1.5", 1, "1.5 is not allowed", "write seed as a whole number"),
        ("seed: '7'", 1, "'7' is not allowed", "without quotes"),
        ("name: 12", 1, "12 is not allowed; allowed: text", 'quote it: name: "12"'),
        ("seed: [1]", 1, "[1] is not allowed", "write seed as"),
        ("seed: {a: 1}", 1, "{'a': 1} is not allowed", "write seed as"),
        ("seed:", 1, "null is not allowed", "write seed as"),
        (
            "model: {family: transfromer}",
            1,
            "allowed: one of transformer, lstm, gru",
            "write model.family: transformer",
        ),
        ("skip_phases: [corpus]", 1, "'corpus' is not allowed", "write skip_phases"),
        ("data: {sources: []}", 1, "[] is not allowed; allowed: a list of at least one value", "write data.sources"),
        ("lerning_rate: 1", 1, "no such key; did you mean 'train.learning_rate'?", "write train.learning_rate"),
        ("epochs: 1", 1, "no such key; did you mean 'train.epochs'?", "or remove it"),
        ("zzzzqqq: 1", 1, "no such key", "config explain"),
        ("train: 5", 1, "is a section, not a value; 5 came", "write its keys: train.<key>"),
        ("seed: 010", 1, "octal in one version of YAML", "write 10 or 0o10"),
        ("seed: .inf", 1, "not a finite number", "write a number"),
        ("train: {learning_rate: 1e999}", 1, "too large for a number", "smaller number"),
        ("seed: 1\nseed: 2", 2, "written twice; the first is in line 1", "keep one"),
        ("seed: !!python/object:os.system 1", 1, "the tag tag:yaml.org,2002:python/object:os.system", "remove the tag"),
        ("[a]: 1", 1, "a key must be a word", "key: value"),
        ("- a", 1, "a recipe is `key: value` lines", "loquela init"),
        ("seed: 1\n  x: 2", 2, "not valid YAML", "check indentation"),
        ("a: 1\n---\nb: 2", 2, "not valid YAML: expected a single document", "check indentation"),
        ("seed: \x07", 1, "not allowed in YAML", "remove it"),
        ('name: "\\ud800"', 1, "has a NUL or a byte that is not UTF-8", "plain text"),
        ('name: "\\0"', 1, "has a NUL", "plain text"),
        ("data: {sources: [a, 'b', \"\\0\"]}", 1, "has a NUL", "plain text"),
        ("seed: " + "9" * 5000, 1, "is not allowed", "write seed as"),
        ("a: &a [*a]", 1, "not valid YAML|inside itself", "."),
        ("model: {d_model: 128, num_heads: 7}", 1, "num_heads (7) does not divide d_model (128)", "set num_heads: 8"),
        ("model: {num_heads: 4, num_kv_heads: 3}", 1, "num_kv_heads (3) does not divide num_heads (4)", "change"),
        ("model: {initialization: pretrained}", 1, "needs pretrained_path", "change"),
        ("data: {test_fraction: 0.9}", 1, "leave at least 10 %", "change"),
    ],
)
def test_each_message(write: Write, text: str, line: int, message: str, remedy: str) -> None:
    path = write(text)
    problem = problems_of(path)[0]
    assert problem["where"] == f"{path}:{line}"
    assert any(part in problem["message"] for part in message.split("|"))
    assert remedy in problem["remedy"] or remedy == "."


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("seed = 1\nseed = 2\n", 2, "not valid TOML"),
        ("seed = ", 1, "not valid TOML"),
        ("seed = " + "9" * 5000 + "\n", 1, "not valid TOML"),
        ("seed = " + "9" * 4000 + "\n", 1, "is not allowed"),
        ("a = " + "[" * 3000, 1, "nested too deeply|not valid TOML"),
        ("[train]\nepochs = 0\n", 2, "0 is not allowed"),
        ("[train]\n\nepoch = 1\n", 3, "did you mean 'train.epochs'?"),
        ("name = 2026-01-01\n", 1, "is a date; recipes have none"),
        ("[train]\nlearning_rate = nan\n", 2, "not a finite number"),
    ],
)
def test_each_toml_message(write: Write, text: str, line: int, message: str) -> None:
    path = write(text, "r.toml")
    problem = problems_of(path)[0]
    assert problem["where"] == f"{path}:{line}"
    assert any(part in problem["message"] for part in message.split("|"))


def test_an_alias_bomb_is_refused_quickly(write: Write) -> None:
    levels = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    levels += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    assert any("aliases make more than" in p["message"] for p in problems_of(write("\n".join(levels))))


def test_deep_nesting_is_refused(write: Write) -> None:
    assert "levels deep" in problems_of(write("a: " + "[" * 5000))[0]["message"]


def test_a_megabyte_of_values_is_refused_early(write: Write) -> None:
    assert "more than 20000 values" in problems_of(write("\n".join(f"k{n}: 1" for n in range(80_000))))[0]["message"]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), [float("inf")], {"a": "\udce9"}, "caf\udce9", "\0"])
def test_values_that_no_file_can_carry(value: object) -> None:
    problem = problems_of(None, {"train.spike_factor": value})[0]
    assert "not a finite number" in problem["message"] or "not UTF-8" in problem["message"]


def test_files_that_are_no_recipe(write: Write, tmp_path: Path) -> None:
    write("seed: 1", "demo.yaml")
    with pytest.raises(RecipeError, match=r"there is no recipe .*demos.yaml; did you mean .*demo.yaml") as caught:
        load_recipe(tmp_path / "demos.yaml")
    assert "loquela init" in caught.value.remedy
    with pytest.raises(RecipeError, match=r"ends in '.txt'") as caught:
        load_recipe(write("seed: 1", "r.txt"))
    assert caught.value.code is ErrorCode.UNSUPPORTED_FORMAT
    with pytest.raises(RecipeError, match="that is not a recipe"):
        load_recipe(write("#" * (LARGEST_FILE_BYTES + 1)))
    (tmp_path / "latin.yaml").write_bytes(b"seed: 1\nname: caf\xe9\n")
    with pytest.raises(RecipeError, match=r"latin.yaml:2: byte 0xe9 is not UTF-8"):
        load_recipe(tmp_path / "latin.yaml")
    (tmp_path / "folder.yaml").mkdir()
    with pytest.raises(RecipeError, match=r"cannot read .*folder.yaml"):
        load_recipe(tmp_path / "folder.yaml")


def test_a_mistyped_variable_is_told_its_name() -> None:
    problem = problems_of(None, (), {"LOQUELA__TRAIN__EPOCH": "3"})[0]
    assert problem["remedy"] == "write LOQUELA__TRAIN__EPOCHS, or remove it"


def test_an_option_without_a_value() -> None:
    problem = problems_of(None, ["seed"])[0]
    assert (problem["where"], problem["message"]) == ("--set seed", "has no `=`")
    assert problems_of(None, ["train=5"])[0]["message"].startswith("is a section")


@pytest.mark.parametrize(("version", "remedy"), [(0, "loquela config migrate"), (2, "upgrade Loquela")])
def test_other_versions_are_refused_not_guessed(write: Write, version: int, remedy: str) -> None:
    path = write(f"\nschema_version: {version}\n")
    with pytest.raises(RecipeError, match=rf"recipe.yaml:2: .*schema version {version}") as caught:
        load_recipe(path)
    assert caught.value.code is ErrorCode.CONFIG_VERSION
    assert remedy in caught.value.remedy


def test_the_flat_form_is_version_0(write: Write) -> None:
    with pytest.raises(RecipeError, match="has schema version 0") as caught:
        load_recipe(write("corpus_source: a.txt\n"))
    assert caught.value.remedy.startswith("loquela config migrate ")


@pytest.mark.parametrize("version", ["'1'", "one", "[1]"])
def test_a_version_that_is_no_number(write: Write, version: str) -> None:
    assert problems_of(write(f"schema_version: {version}"))[0]["key"] == "schema_version"


def test_one_problem_is_the_message_itself() -> None:
    error = recipe_error([Problem("a.yaml:3", "x.y", "is odd", "mend it")])
    assert (error.message, error.remedy) == ("a.yaml:3: x.y: is odd", "mend it")


# --- the schema's table of keys --------------------------------------------------------------------------------


def test_every_key_and_section_is_described() -> None:
    assert [key.path for key in recipe_keys().values() if not key.description] == []
    assert all(recipe_sections().values())
    assert recipe_keys()["train.epochs"].allowed == "a whole number ≥ 1 and ≤ 10000"
    assert recipe_keys()["compute.threads"].nullable


def test_nest_undoes_flatten() -> None:
    recipe = Recipe()
    left_out = {path for path in optional_sections() if path.rpartition(".")[0] not in optional_sections()}
    assert {"finetune", "compute.cloud"} <= left_out

    def written(tree: dict[str, JsonValue], prefix: str = "") -> dict[str, JsonValue]:
        """The tree without the sections that are left out, at every depth."""
        return {
            name: written(part, f"{prefix}{name}.") if isinstance(part, dict) else part
            for name, part in tree.items()
            if prefix + name not in left_out
        }

    assert nest(values_of(recipe)) == written(recipe.model_dump(mode="json"))
    assert flatten({"a": {"b": 1, "c": {"d": [2]}}}) == {"a.b": 1, "a.c.d": [2]}
    with pytest.raises(ValueError, match="goes through 'a'"):
        nest({"a": 1, "a.b": 2})


@settings(max_examples=150, deadline=None)
@given(text=st.text(max_size=60), key=st.sampled_from(sorted(recipe_keys())))
def test_no_value_of_an_option_is_a_traceback(text: str, key: str) -> None:
    try:
        resolved = load_recipe(None, [f"{key}={text}"])
    except RecipeError as error:
        assert error.remedy
    else:
        assert resolved.origins[key].kind == "set"


@settings(max_examples=150, deadline=None)
@given(data=st.binary(max_size=80) | st.text(max_size=80).map(lambda text: text.encode("utf-8", "replace")))
@pytest.mark.parametrize("suffix", [".yaml", ".toml"])
def test_no_file_is_a_traceback(tmp_path_factory: pytest.TempPathFactory, data: bytes, suffix: str) -> None:
    path = tmp_path_factory.getbasetemp() / f"any{suffix}"
    path.write_bytes(data)
    try:
        load_recipe(path)
    except RecipeError as error:
        assert error.remedy


@settings(max_examples=100, deadline=None)
@given(
    epochs=st.integers(1, 10_000), rate=st.floats(1e-7, 1.0), clip=st.none() | st.floats(1e-9, 1e9), flag=st.booleans()
)
def test_options_carry_values_exactly(epochs: int, rate: float, clip: float | None, flag: bool) -> None:
    recipe = load_recipe(
        None,
        [
            f"train.epochs={epochs}",
            f"train.learning_rate={rate!r}",
            f"train.gradient_clip_norm={'null' if clip is None else repr(clip)}",
            f"compute.deterministic={str(flag).lower()}",
        ],
    ).recipe
    assert (recipe.train.epochs, recipe.train.learning_rate) == (epochs, rate)
    assert (recipe.train.gradient_clip_norm, recipe.compute.deterministic) == (clip, flag)


# --- sections that may be left out -------------------------------------------------------------------------------


def test_a_section_that_may_be_left_out_is_there_with_its_first_key(write: Write) -> None:
    assert load_recipe(write("name: plain\nqa: null\n")).recipe.qa is None
    by_file = load_recipe(write("qa:\n  provider: offline\n"))
    by_option = load_recipe(None, ["qa.provider=offline"])
    assert by_file.recipe.qa == by_option.recipe.qa
    assert by_file.recipe.qa is not None
    assert by_file.recipe.qa.pairs_per_chunk == 3
    assert by_option.origins["qa.provider"].kind == "set"
    assert by_option.origins["qa.pairs_per_chunk"].kind == "default"


def test_a_section_without_a_key_is_no_guess(write: Write) -> None:
    (problem,) = problems_of(write("qa: {}\n"))
    assert problem["message"] == "is a section, not a value; {} came"
    assert problem["remedy"] == "write its keys: qa.<key>"


def test_a_wrong_key_of_such_a_section_names_the_right_one(write: Write) -> None:
    (problem,) = problems_of(write("qa:\n  pairs_per_chunks: 3\n"))
    assert "did you mean 'qa.pairs_per_chunk'?" in problem["message"]
