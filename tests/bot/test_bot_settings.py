"""Settings: which place wins, and what each says when it is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from loquela.bot.recipes import chosen, named, names, of_file
from loquela.bot.settings import BotSettings, load_bot_settings, require_owners
from loquela.core.errors import ErrorCode, RecipeError


def test_defaults_then_file_then_environment_then_options(tmp_path: Path) -> None:
    file = tmp_path / "bot.toml"
    file.write_text('owners = [1]\nserver = "https://file"\nsummary_minutes = 7.5\n')
    assert load_bot_settings(None, {}) == BotSettings()
    assert load_bot_settings(file, {}).server == "https://file"
    environment = {"API_BASE_URL": "https://seed", "DISCORD_OWNER_ID": "5, 6 7", "LOQUELA_BOT_DATA": "there"}
    loaded = load_bot_settings(file, environment)
    assert (loaded.server, loaded.owners, loaded.data) == ("https://seed", [5, 6, 7], Path("there"))
    assert loaded.summary_minutes == 7.5
    assert load_bot_settings(file, environment | {"LOQUELA_SERVER": "https://own"}).server == "https://own"
    given = load_bot_settings(file, environment, {"server": "https://option", "owners": [9]})
    assert (given.server, given.owners) == ("https://option", [9])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("owner = [1]", r"no such setting 'owner'; did you mean 'owners'"),
        ("token = 'x'", r"no such setting 'token'"),
        ("owners = ['me']", r"owners from .*bot.toml cannot be used: .*integer"),
        ("batch_seconds = -1", r"batch_seconds from .*bot.toml cannot be used"),
        ("= 1", r"cannot be read as settings"),
    ],
)
def test_a_wrong_file_says_what_is_wrong(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "bot.toml"
    file.write_text(text)
    with pytest.raises(RecipeError, match=said) as caught:
        load_bot_settings(file, {})
    assert caught.value.code is ErrorCode.CONFIG_INVALID


def test_a_wrong_variable_says_so() -> None:
    with pytest.raises(RecipeError, match="owners from the environment cannot be used"):
        load_bot_settings(None, {"DISCORD_OWNER_ID": "0"})


def test_somebody_must_own_the_bot() -> None:
    assert require_owners(BotSettings(owners=[5, 5, 6])) == [5, 6]
    with pytest.raises(RecipeError, match="the bot has no owner, so it would answer nobody"):
        require_owners(BotSettings())


def test_recipes_as_files() -> None:
    assert of_file("a.YAML", "\ufeffname: ñ\n".encode(), 100) == "name: ñ\n"
    assert of_file("a.toml", b'name = "x"\n[train]\nepochs = 3\n', 100) == {"name": "x", "train": {"epochs": 3}}
    for text in (b"a = \n", b"a = 2020-01-01\n"):
        with pytest.raises(RecipeError, match="the recipe's TOML: "):
            of_file("a.toml", text, 100)
    with pytest.raises(RecipeError, match="the recipe is no UTF-8 text: byte 6"):
        of_file("a.yaml", b"name: \xff", 100)
    with pytest.raises(RecipeError, match="ends in nothing") as caught:
        of_file("recipe", b"name: x", 100)
    assert caught.value.code is ErrorCode.UNSUPPORTED_FORMAT


def test_named_recipes_stay_in_their_folder(tmp_path: Path) -> None:
    assert names(tmp_path) == []
    (tmp_path / "recipes").mkdir()
    (tmp_path / "secret.yaml").write_text("name: no\n")
    (tmp_path / "recipes" / "nightly.yaml").write_text("name: yes\n")
    (tmp_path / "recipes" / "notes.txt").write_text("no\n")
    assert names(tmp_path) == ["nightly"]
    assert named(tmp_path, "nightly", 100) == "name: yes\n"
    for wrong in ("../secret", "notes", "nightli"):
        with pytest.raises(RecipeError, match="no such recipe") as caught:
            named(tmp_path, wrong, 100)
        assert caught.value.code is ErrorCode.NOT_REGISTERED


def test_a_named_recipe_that_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "recipes").mkdir()
    (tmp_path / "recipes" / "nightly.yaml").write_text("name: yes\n")

    def broken(self: Path) -> bytes:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(Path, "read_bytes", broken)
    with pytest.raises(RecipeError, match="the recipe 'nightly' cannot be read: Input/output error"):
        named(tmp_path, "nightly", 100)


def test_a_corpus_with_choices() -> None:
    made = chosen("builtin:stories, book.txt,", {"model.family": "gru", "tokenizer.method": None, "train.epochs": 2})
    assert made == {
        "data": {"sources": ["builtin:stories", "book.txt"]}, "model": {"family": "gru"}, "train": {"epochs": 2},
    }  # fmt: skip
