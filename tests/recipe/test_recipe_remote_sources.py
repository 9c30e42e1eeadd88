"""Entries of remote sources: options go with their kind of address, and no secret gets into a recipe."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from loquela.core.errors import RecipeError
from loquela.recipe.loading import load_recipe
from loquela.recipe.secrets_in_recipes import secret_in
from loquela.recipe.source_entry import SourceEntry

GITHUB = "ghp_" + "a1B2" * 9
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.x"


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("postgresql://reader:opensesame@db.example.org/books", "the address holds a password"),
        ("https://api.example.org/v1?api_key=opensesame", "a secret in its query"),
        ("https://api.example.org/v1?page=1&access-token=x", "a secret in its query"),
        ({"parameters": {"api_key": "opensesame"}}, "api_key holds a secret"),
        ({"credential": GITHUB}, "looks like a token"),
        (["a", [f"Bearer {JWT}"]], "looks like a token"),
        ("sk-ant-" + "x" * 30, "looks like a token"),
        ("-----BEGIN RSA PRIVATE KEY-----", "private key"),
    ],
)
def test_what_looks_like_a_secret(value, said: str) -> None:
    assert said in str(secret_in(value))


@pytest.mark.parametrize(
    "value",
    [
        "postgresql://db.example.org:5432/books",
        "postgresql://reader@db.example.org/books",
        "https://en.example.org/wiki/Token?title=Password",
        "s3://bucket/sk-notes.txt",
        "gutenberg:1342",
        {"cursor_parameter": "page_token", "cursor": "/next_token"},
        {"query": "SELECT token FROM words WHERE password = :p ORDER BY id"},
        None,
        7,
    ],
)
def test_what_does_not(value) -> None:
    assert secret_in(value) is None


@pytest.mark.parametrize(
    "source",
    [
        '"postgresql://reader:opensesame@db.example.org/books"',
        '{address: "postgresql://reader:opensesame@db.example.org/books", language: 17}',
        '{address: "https://a.example/x", api: {parameters: {token: opensesame}}, nonsense: 1}',
        '{address: "https://a.example/x", credential: "opensesame!42"}',
    ],
)
def test_a_secret_in_a_recipe_is_refused_and_not_repeated(tmp_path: Path, source: str) -> None:
    (tmp_path / "r.yaml").write_text(f"schema_version: 1\ndata:\n  sources:\n    - {source}\n")
    with pytest.raises(RecipeError, match="holds a (password|secret)|credential is no name") as caught:
        load_recipe(tmp_path / "r.yaml")
    assert "loquela credentials set NAME" in caught.value.remedy
    assert "opensesame" not in f"{caught.value} {caught.value.details} {caught.value.__context__!r}"


def test_options_go_with_their_kind_of_address() -> None:
    with pytest.raises(ValidationError, match="the options database are not of books.db; they belong to sqlite:, post"):
        SourceEntry.model_validate({"address": "books.db", "database": {"query": "SELECT 1"}})
    with pytest.raises(ValidationError, match="the options api are not of https://a.example"):
        SourceEntry.model_validate({"address": "https://a.example", "api": {}, "web": {}})


def test_options_tell_what_an_https_address_is() -> None:
    assert SourceEntry.model_validate({"address": "https://a.example/v1", "api": {}}).address == (
        "api+https://a.example/v1"
    )
    web = SourceEntry.model_validate({"address": "http://a.example/", "web": {"depth": 2}})
    assert web.address == "web+http://a.example/"
    assert SourceEntry.model_validate(web.model_dump()) == web
    assert web.model_dump() == {"address": "web+http://a.example/", "web": web.web.model_dump()}


def test_a_page_size_that_would_not_be_sent() -> None:
    with pytest.raises(ValidationError, match="page_size is sent only with size_parameter"):
        SourceEntry.model_validate({"address": "api+https://a.example", "api": {"page_size": 10}})


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({"address": "sqlite:///a.db", "credential": "x"}, "nothing for sqlite:///a.db: its texts are rows of a"),
        ({"address": "sqlite:///a.db", "encoding": "cp1252"}, "encoding changes nothing for sqlite:///a.db: "),
        ({"address": "postgresql://h/b", "format": "csv"}, "format changes nothing for .*: its texts are rows"),
        ({"address": "https://a.example", "api": {}, "encoding": "latin-1"}, "encoding .* api.*: .* which is UTF-8"),
        ({"address": "https://a.example", "api": {}, "format": "json"}, "format changes nothing for api.*: .* of JSON"),
        ({"address": "https://a.example", "web": {}, "text": "body"}, "text changes nothing for web.*: .* web pages"),
        ({"address": "https://a.example", "web": {}, "encoding": "utf-8"}, "encoding .* web.*: .* their own encoding"),
        ({"address": "books/", "credential": "x"}, "credential changes nothing for books/: files here need none"),
        ({"address": "glob:*.txt", "credential": "x"}, r"credential changes nothing for glob:\*.txt: files here need"),
        ({"address": "builtin:stories", "credential": "x"}, "credential .* builtin:stories: its texts are made"),
        ({"address": "https://a.example", "web": {}, "labels": ["title", "date"]}, "web pages have no 'date' to label"),
        ({"address": "hf:x", "format": "parquet"}, "format changes nothing for hf:x: its texts are rows"),
        ({"address": "hf:x", "encoding": "latin-1"}, "encoding changes nothing for hf:x: .* the library decodes"),
    ],
)  # fmt: skip
def test_keys_that_could_change_nothing(entry: dict, said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        SourceEntry.model_validate(entry)
