"""The stage that provides the base: of every kind, with a fingerprint that changes when the base does."""

from __future__ import annotations

from pathlib import Path

import pytest
from hub_server import Hub, HubModel
from test_models_pretrained_gguf import written_gguf

from loquela.artifacts.base import read_base
from loquela.artifacts.context import StageContext, StageResult
from loquela.core.errors import DataError, RecipeError
from loquela.models.pretrained.open import open_base
from loquela.models.pretrained.stage import fingerprint, provide, section_of
from loquela.monitoring.events import EventBus
from loquela.recipe.schema import Recipe
from toy_bases import copied_base, toy_base

COMMIT = "1" * 40


def _recipe(base: object, output: Path, **settings: object) -> Recipe:
    return Recipe.model_validate(
        {
            "name": "x",
            "output_directory": str(output),
            "finetune": {"base": str(base), **settings},
            "examples": {"sources": ["rows.jsonl"]},
        }
    )


def _provided(recipe: Recipe, output: Path) -> StageResult:
    output.mkdir(parents=True)
    return provide(StageContext(recipe=recipe, bus=EventBus(), inputs={}, output=output, run_directory=output))


def test_a_folder_is_recorded_and_stays_where_it_is(tmp_path: Path) -> None:
    folder = copied_base(tmp_path / "base")
    recipe = _recipe(folder, tmp_path)
    result = _provided(recipe, tmp_path / "made")
    assert [path.name for path in (tmp_path / "made").iterdir()] == ["base.json"]
    base = open_base(tmp_path / "made")
    assert base.folder == folder.resolve()
    assert result.facts["digest"] == base.identity.digest
    assert "LlamaForCausalLM, 0.1 million parameters, context 256" in result.summary
    before = fingerprint(recipe)
    assert before == {name: record.sha256 for name, record in base.identity.files.items()}
    (folder / "chat_template.jinja").write_text("{{ messages }}")
    assert fingerprint(recipe) != before


def test_a_gguf_file_is_converted_beside_its_record(tmp_path: Path) -> None:
    pytest.importorskip("gguf")
    path = written_gguf(tmp_path / "m.gguf", "smollm")
    recipe = _recipe(path, tmp_path)
    _provided(recipe, tmp_path / "made")
    base = open_base(tmp_path / "made")
    assert (base.folder, base.identity.location, base.identity.kind) == (tmp_path / "made", ".", "gguf")
    before = fingerprint(recipe)
    path.write_bytes(path.read_bytes() + b"\0")
    assert fingerprint(recipe) != before


def test_a_package_is_asked_for_its_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("gguf")
    site = tmp_path / "site"
    (site / "toy_models").mkdir(parents=True)
    written_gguf(site / "toy_models" / "m.gguf")
    (site / "toy_models" / "__init__.py").write_text("raise RuntimeError('never run')")
    information = site / "toy_models-1.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: toy-models\nVersion: 1.0\n")
    (information / "RECORD").write_text("toy_models/__init__.py,,\ntoy_models/m.gguf,,\n")
    monkeypatch.syspath_prepend(str(site))
    recipe = _recipe("package:toy-models", tmp_path)
    assert fingerprint(recipe).keys() == {"m.gguf"}
    _provided(recipe, tmp_path / "made")
    identity = open_base(tmp_path / "made").identity
    assert (identity.kind, identity.source) == ("package", "package:toy-models")


def test_a_base_of_the_hub_keeps_its_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("huggingface_hub")
    hub = Hub()
    try:
        files = {path.name: path.read_bytes() for path in toy_base().iterdir()}
        hub.models["loquela/tiny"] = HubModel({COMMIT: files})
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
        monkeypatch.delenv("HF_HUB_CACHE", raising=False)
        monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
        recipe = _recipe("loquela/tiny", tmp_path / "data")
        assert fingerprint(recipe) == {"commit": COMMIT}
        _provided(recipe, tmp_path / "data" / "artifacts" / "base" / "0123")
        hub.models["loquela/tiny"].commits["2" * 40] = files
        hub.seen.clear()
        assert fingerprint(recipe) == {"commit": COMMIT}
        assert hub.seen == []
        assert read_base(tmp_path / "data" / "artifacts" / "base" / "0123").revision == COMMIT
        assert fingerprint(_recipe("loquela/tiny", tmp_path / "data", revision="2" * 40)) == {"commit": "2" * 40}
    finally:
        hub.close()


def test_what_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="there is no such folder or file"):
        fingerprint(_recipe(tmp_path / "nowhere", tmp_path))
    with pytest.raises(RecipeError, match="the recipe has no section finetune"):
        section_of(Recipe.model_validate({"name": "x"}))
