"""An entry of data.sources: what it may hold, and what is said of what it may not hold, at its own line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from loquela.cli.json_schemas import json_schema_of
from loquela.core.errors import RecipeError
from loquela.recipe.dumping import dump_recipe
from loquela.recipe.keys import source_keys
from loquela.recipe.loading import load_recipe
from loquela.recipe.schema import DataSection, Recipe
from loquela.recipe.source_entry import SourceEntry


def problems(tmp_path: Path, text: str, suffix: str = ".yaml", overrides: object = ()) -> list[tuple[str, str, str]]:
    path = tmp_path / f"recipe{suffix}"
    path.write_text(text)
    with pytest.raises(RecipeError) as caught:
        load_recipe(path, overrides)
    found = caught.value.details["problems"]
    return [
        (str(problem["where"]).rpartition("/")[2], f"{problem['key']}: {problem['message']}", problem["remedy"])
        for problem in found
    ]


@pytest.mark.parametrize(
    ("entry", "line", "message", "remedy"),
    [
        ("address: b.txt\n      lang: es", 5, "[1].lang: no such key; did you mean 'language'?", "write language, or"),
        ("adress: b.txt", 4, "[1].adress: no such key; did you mean 'address'?", "write address, or remove it"),
        ("address: b\n      format: jsn", 5, "[1].format: 'jsn' is not allowed; allowed: one of auto", "format: json"),
        ("address: b\n      language: Spanish", 5, "[1].language: 'Spanish' is not allowed; allowed: text", "language"),
        ("address: b\n      labels: [a, 1]", 5, "[1].labels[1]: 1 is not allowed; allowed: a list of text", "labels"),
        ("address: ''", 4, "[1].address: '' is not allowed; allowed: text", "write address as text"),
        (
            "address: s3://b\n      objects:\n        endpont: https://x",
            6,
            "[1].objects.endpont: no such key; did you mean 'endpoint'?",
            "write endpoint",
        ),
        (
            "address: s3://b\n      objects: {retries: 99}",
            5,
            "[1].objects.retries: 99 is not allowed; allowed: a whole number ≥ 0 and ≤ 20",
            "objects.retries",
        ),
        ("address: s3://b\n      objects: 3", 5, "[1].objects: 3 is neither", "write the keys of data.sources[1].obj"),
        ("address: builtin:stories\n      text: body", 4, "[1]: text changes nothing for builtin:stories", "remove it"),
        ("address: a.txt\n      objects: {region: eu}", 4, "[1]: the options objects are not of a.txt", "they belong"),
        ("address: b\n      zzzzzz: 1", 5, "[1].zzzzzz: no such key; known: address,", "remove it"),
    ],
)
def test_a_wrong_key_is_said_at_its_line(tmp_path: Path, entry: str, line: int, message: str, remedy: str) -> None:
    found = problems(tmp_path, f"data:\n  sources:\n    - a.txt\n    - {entry}\n")
    said = next(problem for problem in found if "missing" not in problem[1])
    assert said[0] == f"recipe.yaml:{line}"
    assert said[1].startswith(f"data.sources{message}")
    assert remedy in said[2]


def test_an_entry_without_an_address(tmp_path: Path) -> None:
    [(where, said, remedy)] = problems(tmp_path, "data:\n  sources:\n    - language: es\n")
    assert (where, remedy) == ("recipe.yaml:3", "write data.sources[0].address")
    assert said.startswith("data.sources[0].address: is missing; it is file, folder, glob")


def test_what_is_no_source(tmp_path: Path) -> None:
    [(where, said, remedy)] = problems(tmp_path, "data:\n  sources: [a.txt,\n    5]\n")
    assert (where, said) == ("recipe.yaml:3", "data.sources[1]: 5 is neither an address nor an entry")
    assert remedy == "write text, or a mapping with the key address"


def test_toml_and_options_have_places_too(tmp_path: Path) -> None:
    text = '[[data.sources]]\naddress = "a"\n\n[[data.sources]]\naddress = "b"\nlang = "es"\n'
    [(where, said, _)] = problems(tmp_path, text, ".toml")
    assert (where, said) == ("recipe.toml:6", "data.sources[1].lang: no such key; did you mean 'language'?")
    text = "data:\n  sources:\n    - {address: a, lang: es}\n"
    [(where, _, _)] = problems(tmp_path, text, overrides=["data.sources=[{address: a, nam: b}]"])
    assert where.startswith("--set data.sources")


def test_the_same_source_twice(tmp_path: Path) -> None:
    [(where, said, remedy)] = problems(tmp_path, "data:\n  sources: [a.txt, {address: a.txt}]\n")
    assert (where, said) == ("recipe.yaml:2", "data.sources: 'a.txt' stands here twice")
    assert remedy == "remove one, or give each a name of its own"


def test_only_what_was_chosen_is_written(tmp_path: Path) -> None:
    entry = SourceEntry.model_validate({"address": "s3://b/*.csv", "text": "body", "objects": {"region": "eu-west-1"}})
    section = DataSection(sources=["a.txt", entry])
    assert section.model_dump(mode="json")["sources"] == [
        "a.txt",
        {
            "address": "s3://b/*.csv",
            "text": "body",
            "objects": {**entry.objects.model_dump(), "region": "eu-west-1"},
        },
    ]
    assert DataSection.model_validate_json(section.model_dump_json()) == section
    path = tmp_path / "r.yaml"
    path.write_text(
        dump_recipe(load_recipe(None, {"data": {"sources": json.loads(section.model_dump_json())["sources"]}}))
    )
    assert load_recipe(path).recipe.data == section


def test_the_schema_for_editors_knows_both_forms() -> None:
    schema = json_schema_of(Recipe)
    items = schema["$defs"]["DataSection"]["properties"]["sources"]["items"]
    assert {"$ref": "#/$defs/SourceEntry"} in items["oneOf"]
    assert any(form.get("type") == "string" for form in items["oneOf"])
    assert schema["$defs"]["SourceEntry"]["additionalProperties"] is False


def test_every_key_of_an_entry_is_described() -> None:
    assert [key.path for key in source_keys().values() if not key.description] == []
    assert source_keys()["address"].required and not source_keys()["format"].required
    assert source_keys()["format"].default == "auto" and source_keys()["labels"].default == []
    assert source_keys()["objects.retries"].allowed == "a whole number ≥ 0 and ≤ 20"
